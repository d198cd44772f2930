#!/bin/sh
# haproxy-of.sh SUITE FOLDER [VERSION]: puts the HAProxy of another Debian release into FOLDER. Does nothing
# if the installed HAProxy has VERSION.
#
# apt downloads HAProxy and its libraries, the C library included, from this machine's mirror. It
# installs nothing. FOLDER/haproxy runs HAProxy through its own loader.
set -eu
suite=$1
folder=$2
case $(haproxy -v 2>/dev/null) in
"HAProxy version ${3:-none}."*) exit 0 ;;
esac

# argv[0] is the path of the written script, because the master of `-W` re-executes argv[0].
write_program() {
	cat >"$1/haproxy" <<'END'
#!/bin/sh
self=$(readlink -f "$0")
root=$(dirname "$self")/root
set -- "$root/usr/sbin/haproxy" "$@"
# Before Debian 13, some libraries are below /lib.
for loader in "$root"/usr/lib/*/ld-linux-*.so.* "$root"/lib/*/ld-linux-*.so.*; do
	[ -e "$loader" ] || continue
	folder=${loader#"$root"}
	folder=${folder#/usr}
	folder=${folder%/*}
	exec "$loader" --argv0 "$self" --library-path "$root/usr$folder:$root$folder" "$@"
done
END
	chmod 755 "$1/haproxy"
}

if [ -e "$folder/haproxy" ]; then
	write_program "$folder"
	if "$folder/haproxy" -v >/dev/null 2>&1; then
		exit 0
	fi
fi
echo "Fetching the HAProxy of Debian $suite into $folder"

new=$folder.new
rm -rf "$new"
mkdir -p "$new/apt/lists/partial" "$new/apt/archives/partial"
# An empty status file makes apt download every library, even those installed here.
: >"$new/apt/status"
# shellcheck disable=SC2016 # apt fills these in
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
	sed -n 's/^Debian //p' | head -n 1)
# On Ubuntu apt has no mirror of Debian, but debootstrap has the address of a mirror.
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
write_program "$new"
said=$("$new/haproxy" -v)
echo "$said" | head -n 1
rm -rf "$folder"
mv "$new" "$folder"
