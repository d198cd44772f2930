#!/bin/sh
# Makes a self-signed certificate for www.example.com, and its key, in a folder.
set -eu
cd "$1"
# Keeps a certificate that is valid for at least one more day, because nginx may have loaded it.
if [ -e www.example.com.key ] && openssl x509 -checkend 86400 -noout -in www.example.com.pem; then
    exit
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=www.example.com -addext subjectAltName=DNS:www.example.com \
    -keyout www.example.com.key -out www.example.com.pem
