#!/bin/sh
# What a host needs beside files: the users, their directories, subordinate ids, a lingering manager. Run by the
# package after installing and upgrading; doing it twice changes nothing.
set -eu
user=prometheus-quant

systemd-sysusers
systemd-tmpfiles --create prometheus-quant.conf

# 65536 subordinate ids for the container's other users, behind every range that is already given away.
next_free() {
    awk -F: 'BEGIN { next_free = 100000 } $2 + $3 > next_free { next_free = $2 + $3 } END { print next_free }' \
        /etc/subuid /etc/subgid
}
touch /etc/subuid /etc/subgid
if ! grep -q "^$user:" /etc/subuid || ! grep -q "^$user:" /etc/subgid; then
    first=$(next_free)
    usermod --add-subuids "$first-$((first + 65535))" --add-subgids "$first-$((first + 65535))" "$user"
fi

# Podman wants the user's runtime directory, also when nobody is logged in.
loginctl enable-linger "$user"
systemctl daemon-reload
journalctl --update-catalog
