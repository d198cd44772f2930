"""A typical check in Python. Its arguments are a name, an address, a port and a CA file."""
import http.client
import socket
import ssl
import sys

name, address, port, ca_file = sys.argv[1:]
context = ssl.create_default_context(cafile=ca_file)
raw = socket.create_connection((address, int(port)), timeout=2)
connection = http.client.HTTPSConnection(name)
connection.sock = context.wrap_socket(raw, server_hostname=name)
connection.request("GET", "/", headers={"Connection": "close"})
sys.exit(not 200 <= connection.getresponse().status < 400)
