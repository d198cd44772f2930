#!/bin/sh
# haproxy-of.sh SUITE FOLDER: the HAProxy of another Debian release, in a folder of its own.
#
# apt fetches it with its libraries, the C library included, from the mirror that this machine uses;
# nothing is installed. FOLDER/haproxy runs it through its own loader.
set -eu
suite=$1
folder=$2
if [ -x "$folder/haproxy" ] && "$folder/haproxy" -v >/dev/null 2>&1; then
	exit 0
fi
echo "Fetching the HAProxy of Debian $suite into $folder"

new=$folder.new
rm -rf "$new"
mkdir -p "$new/apt/lists/partial" "$new/apt/archives/partial"
# As if nothing were installed here: every library comes along.
: >"$new/apt/status"
# shellcheck disable=SC2016 # apt fills these in
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^Debian //p' | head -n 1)
# Ubuntu has no mirror of Debian, but its debootstrap knows one.
script=/usr/share/debootstrap/scripts/sid
if [ -z "$mirror" ] && [ -e "$script" ]; then
	mirror=$(sed -n 's/.*default_mirror //p' "$script" | head -n 1)
fi
if [ -z "$mirror" ]; then
	echo "apt knows no Debian mirror: run apt-get update, or install debootstrap" >&2
	exit 1
fi
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror $suite main" >"$new/apt/sources.list"
apt() {
	apt-get -qq -o Dir::Etc::SourceList="$new/apt/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State="$new/apt" -o Dir::State::status="$new/apt/status" -o Dir::Cache="$new/apt" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}
apt update
apt install -y --no-install-recommends --download-only haproxy

for package in "$new"/apt/archives/*.deb; do
	dpkg-deb --extract "$package" "$new/root"
done
rm -rf "$new/apt"
cat >"$new/haproxy" <<'END'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
set -- "$root/usr/sbin/haproxy" "$@"
for loader in "$root"/usr/lib/*/ld-linux-*.so.*; do
	exec "$loader" --library-path "$(dirname "$loader")" "$@"
done
END
chmod 755 "$new/haproxy"
"$new/haproxy" -v | head -n 1
rm -rf "$folder"
mv "$new" "$folder"
