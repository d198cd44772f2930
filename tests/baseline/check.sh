#!/bin/bash
# The check that sni-check replaces: an external check in bash that runs curl. It is the baseline of
# the parity test and of the benchmarks.
# Environment: SNI_HOST; CA_FILE for a private CA; CHECK_URI and CHECK_TIMEOUT have defaults.
set -u
PATH=/usr/bin:/bin
address=$3
port=$4
exec curl --silent --show-error --fail --output /dev/null --max-time "${CHECK_TIMEOUT:-2}" \
    ${CA_FILE:+--cacert "$CA_FILE"} \
    --connect-to "$SNI_HOST:443:$address:$port" "https://$SNI_HOST${CHECK_URI:-/}"
