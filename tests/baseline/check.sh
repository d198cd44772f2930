#!/bin/bash
# The check that sni-check replaces, as people write it: curl in the image, a script as external
# check. Kept as the baseline of the parity test and of the benchmarks.
# Environment: SNI_HOST, and CA_FILE for a private CA.
set -u
PATH=/usr/bin:/bin
address=$3
port=$4
exec curl --silent --show-error --fail --output /dev/null --max-time "${CHECK_TIMEOUT:-2}" \
    ${CA_FILE:+--cacert "$CA_FILE"} \
    --connect-to "$SNI_HOST:443:$address:$port" "https://$SNI_HOST${CHECK_URI:-/}"
