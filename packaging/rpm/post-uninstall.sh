# $1 is 0 after the package was removed, and 1 after an upgrade.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
if [ "$1" -eq 0 ]; then
	if command -v semanage >/dev/null; then
		semanage fcontext -d /usr/bin/sni-check 2>/dev/null || :
	fi
	# rpm removes only what the package contains, and cargo-generate-rpm puts no folders into it.
	doc=/usr/share/doc/sni-check
	rmdir $doc/docs $doc/examples $doc /usr/share/licenses/sni-check 2>/dev/null || :
fi
