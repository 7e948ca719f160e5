#!/bin/sh
# Start nginx on $PORT, 8080 where it is not set.
set -eu
sed "s/@PORT@/${PORT:-8080}/" /etc/nginx/nginx.conf > /tmp/nginx.conf
exec nginx -e stderr -c /tmp/nginx.conf -g 'daemon off;'
