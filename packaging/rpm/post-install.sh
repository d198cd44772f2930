# $1 is 1 after an installation and 2 after an upgrade. A restart keeps the socket open.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
	[ "$1" -lt 2 ] || systemctl try-restart sni-check.service || :
fi
# HAProxy's SELinux domain executes only files of this type. docs/install.md explains why.
if [ -x /usr/sbin/selinuxenabled ] && /usr/sbin/selinuxenabled && command -v semanage >/dev/null; then
	semanage fcontext -a -t haproxy_exec_t /usr/bin/sni-check 2>/dev/null || :
	restorecon /usr/bin/sni-check || :
fi
