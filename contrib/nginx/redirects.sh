#!/bin/sh
# Writes the map of project names for nginx; see nestgen-maps.conf.
#
#   redirects.sh /srv/nestgen/site > /etc/nginx/nestgen-redirects.map
#   nginx -s reload
#
# With many projects, raise map_hash_max_size in the http context to about
# twice their number and map_hash_bucket_size to 128.
set -eu
LC_ALL=C # a range of letters is that of ASCII
export LC_ALL
cd "${1:?usage: redirects.sh SITE}"
# Spellings that are not normalized have no JSON. An index below a prefix may have
# projects that the site's own has no more.
for page in simple/*/index.v1_json */simple/*/index.v1_json */*/simple/*/index.v1_json; do
	name=${page%/index.v1_json}
	name=${name##*/}
	case $name in
	*[!a-z0-9-]*) ;;
	*) printf '%s %s;\n' "$name" "$name" ;;
	esac
done | sort -u
