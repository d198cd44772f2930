#!/bin/sh
# cross.sh FOLDER TARGET...: builds the released program for other processors and for musl, on an
# amd64 Debian, below FOLDER/build. `make cross` installs the C compilers.
#
# The installed Rust builds each target that it has (`rustup target add TARGET`). Rust from Debian sid
# builds the others. sid has Rust's standard library for armhf, arm64 and riscv64. It also has the source
# of the library, from which cargo builds the library for musl. apt downloads all of it into FOLDER.
# Nothing from sid is installed.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
root=$folder/root

# Writes FOLDER/rustc, which runs the compiler of Debian sid.
fetch_rust() {
	new=$folder/fetched
	rm -rf "$new" "$root"
	mkdir -p "$new/apt/lists/partial" "$new/apt/archives/partial"
	# With an empty status file, apt believes that nothing is installed, so it downloads every library.
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
}

export CARGO_TARGET_DIR="$folder/build"
for target in "$@"; do
	case $target in
	armv7-*) compiler=arm-linux-gnueabihf-gcc ;;
	aarch64-*) compiler=aarch64-linux-gnu-gcc ;;
	riscv64gc-*) compiler=riscv64-linux-gnu-gcc ;;
	x86_64-*-musl) compiler=musl-gcc ;;
	*) echo "no compiler is known for $target" >&2 && exit 1 ;;
	esac
	lower=$(echo "$target" | tr - _)
	upper=$(echo "$lower" | tr '[:lower:]' '[:upper:]')
	set -- "CARGO_TARGET_${upper}_LINKER=$compiler" "CC_$lower=$compiler" \
		cargo build --release --locked --bin sni-check --target "$target"
	if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
		[ -x "$folder/rustc" ] || fetch_rust
		case $target in
		*-musl)
			# Stable Rust builds its standard library only with RUSTC_BOOTSTRAP. rustup's library includes a C runtime
			# and an unwinder. This build uses Debian's C runtime, and an empty unwinder. The program needs no
			# unwinder, because a panic ends it.
			ar rc "$folder/libunwind.a"
			set -- RUSTC_BOOTSTRAP=1 "CARGO_TARGET_${upper}_RUSTFLAGS=-C link-self-contained=no -L $folder" \
				"$@" -Z build-std=std,panic_abort -Z build-std-features=
			;;
		esac
		set -- "RUSTC=$folder/rustc" "$@"
	fi
	env "$@"
done
