#!/bin/sh
# Make the example site, build its index, and install from it. "make demo" runs
# this from the root of the repository, with the folder to work in.
set -eu

dir=${1:?usage: demo.sh DIR}
nestgen=$PWD/bin/nestgen
site=$dir/nestgen.toml
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi' EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n\n' "$*"; }

say "The example site, in $dir"
rm -rf "$dir"
"${GO:-go}" run ./examples/quickstart "$dir"
(cd "$dir" && ls -d nestgen.toml allowlist.txt policy.toml drop/* upstream/files/*) | sed 's/^/  /'

say "What a build would do, and why: nestgen plan --why"
status=0
"$nestgen" -c "$site" plan --why || status=$?
if [ "$status" -ne 10 ]; then # 10: something would change
	echo "demo: nestgen plan ended with status $status" >&2
	exit 1
fi

say "The build: nestgen build"
"$nestgen" -c "$site" build

say "Again, as cron would run it: nestgen build -q"
"$nestgen" -c "$site" build -q
echo "(nothing to do, nothing said)"

say "Everything there and unharmed: nestgen verify"
"$nestgen" -c "$site" verify

say "What the index has: nestgen list"
"$nestgen" -c "$site" list

# A port of its own, so that nothing else is in the way.
# The log is made first: the server makes nothing before it has begun to run.
: >"$dir/serve.log"
"$nestgen" -c "$site" serve --listen 127.0.0.1:0 >>"$dir/serve.log" 2>&1 &
server=$!
url=
tries=0
while [ "$tries" -lt 1200 ]; do
	tries=$((tries + 1))
	url=$(sed -n 's|^serving .* on \(http://[0-9.:]*/\).*|\1|p' "$dir/serve.log")
	if [ -n "$url" ]; then break; fi
	if ! kill -0 "$server" 2>/dev/null; then break; fi
	sleep 0.25
done
if [ -z "$url" ]; then
	cat "$dir/serve.log" >&2
	echo "demo: nestgen serve did not start" >&2
	exit 1
fi

if python3 -m pip --version >/dev/null 2>&1; then
	say "An install from it: pip install --index-url ${url}simple/ nestbox twigs"
	# Nothing of this machine's pip settings or proxies may reach in.
	NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 PIP_CONFIG_FILE=/dev/null \
		python3 -m pip --isolated --disable-pip-version-check install --no-cache-dir \
		--index-url "${url}simple/" --target "$dir/installed" nestbox twigs 2>"$dir/pip.log" ||
		{ cat "$dir/pip.log" >&2; exit 1; }
	echo
	PYTHONPATH=$dir/installed python3 -m nestbox robin owl
else
	say "No pip here, so nothing is installed. Elsewhere: pip install --index-url ${url}simple/ nestbox"
fi

say "To look at it yourself"
cat <<END
  bin/nestgen -c $site serve

and open http://127.0.0.1:8080/ in a browser, or install from it:

  python3 -m pip install --index-url http://127.0.0.1:8080/simple/ --target /tmp/try nestbox

Put a file into $dir/drop, change $dir/allowlist.txt, and run

  bin/nestgen -c $site build
END
