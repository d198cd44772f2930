# $1 is 0 before the package is removed, and 1 before an upgrade.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now sni-check.socket sni-check.service || :
fi
