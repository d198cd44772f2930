#!/bin/sh
# cross.sh FOLDER TARGET...: builds the released program for other processors and for musl, on an
# amd64 Debian, below FOLDER/build.
#
# Rust's standard library for other targets comes from Debian sid, so that this works without rustup.
# sid has the library for armhf, arm64 and riscv64. It also has the library's source, and cargo builds
# the library for musl from that. apt downloads all of it into FOLDER. Nothing from sid is installed.
# The C compilers come from this Debian (`make cross` installs them).
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
root=$folder/root

if [ ! -x "$folder/rustc" ]; then
	new=$folder/fetched
	rm -rf "$new" "$root"
	mkdir -p "$new/apt/lists/partial" "$new/apt/archives/partial"
	# apt now believes that nothing is installed here, so it downloads every library.
	: >"$new/apt/status"
	# shellcheck disable=SC2016 # apt replaces these words
	mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sed -n 's/^Debian //p' | head -n 1)
	[ -n "$mirror" ] || { echo 'apt knows no Debian mirror: run apt-get update' >&2; exit 1; }
	keys=/usr/share/keyrings/debian-archive-keyring.gpg
	echo "deb [signed-by=$keys] $mirror sid main" >"$new/apt/sources.list"
	sid() {
		apt-get -qq -o Dir::Etc::SourceList="$new/apt/sources.list" -o Dir::Etc::SourceParts=- \
			-o Dir::State="$new/apt" -o Dir::State::status="$new/apt/status" -o Dir::Cache="$new/apt" \
			-o APT::Sandbox::User=root -o Acquire::Languages=none \
			-o APT::Architectures::=amd64 -o APT::Architectures::=arm64 \
			-o APT::Architectures::=armhf -o APT::Architectures::=riscv64 "$@"
	}
	sid update
	sid install -y --no-install-recommends --download-only rustc
	(cd "$new/apt/archives" && sid download rust-src libstd-rust-dev:arm64 libstd-rust-dev:armhf \
		libstd-rust-dev:riscv64)
	for package in "$new"/apt/archives/*.deb; do
		dpkg-deb --extract "$package" "$root"
	done
	rm -rf "$new"
	# sid's compiler needs sid's C library.
	cat >"$folder/rustc" <<-END
		#!/bin/sh
		libraries=$root/usr/lib/x86_64-linux-gnu
		exec "\$libraries/ld-linux-x86-64.so.2" --library-path "\$libraries" $root/usr/bin/rustc --sysroot $root/usr "\$@"
	END
	chmod 755 "$folder/rustc"
fi

export RUSTC="$folder/rustc" CARGO_TARGET_DIR="$folder/build"
for target in "$@"; do
	set --
	case $target in
	*-musl)
		compiler=musl-gcc
		# Uses Debian's C runtime. Rust has its own C runtime only if rustup installed it.
		flags='-C link-self-contained=no'
		# Stable Rust builds its standard library only with this variable.
		export RUSTC_BOOTSTRAP=1
		set -- -Z build-std=std,panic_abort
		;;
	armv7-*) compiler=arm-linux-gnueabihf-gcc flags='' ;;
	aarch64-*) compiler=aarch64-linux-gnu-gcc flags='' ;;
	riscv64gc-*) compiler=riscv64-linux-gnu-gcc flags='' ;;
	*) echo "no compiler is known for $target" >&2 && exit 1 ;;
	esac
	lower=$(echo "$target" | tr - _)
	upper=$(echo "$lower" | tr '[:lower:]' '[:upper:]')
	env "CARGO_TARGET_${upper}_LINKER=$compiler" "CARGO_TARGET_${upper}_RUSTFLAGS=$flags" \
		"CC_$lower=$compiler" cargo build --release --locked --bin sni-check --target "$target" "$@"
	unset RUSTC_BOOTSTRAP
done
