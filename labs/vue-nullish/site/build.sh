#!/bin/sh
# Usage: build.sh [VUE WEBPACK]. What CI does with every commit: builds the page with these versions, or those of the build before,
# and leaves what came of it in /var/lib/site/latest: build.log, and page.html if there is one. With "none" for webpack no bundle
# is made. Ends with the code of the build.
set -eu
mkdir -p /var/lib/site
exec 9>/var/lib/site/lock
flock 9 # one build at a time, so that latest is what the newest one has left
[ $# = 0 ] || echo "$@" >/var/lib/site/versions
read -r vue webpack </var/lib/site/versions

export OUT=$(mktemp -d /var/lib/site/build.XXXXXX)
chmod 755 "$OUT"
code=0
(
	if [ "$webpack" = none ]; then
		cd "/srv/site/vue-$vue-webpack-4.47.0"
		node ../page.js >"$OUT/page"
	else
		cd "/srv/site/vue-$vue-webpack-$webpack"
		command=node_modules/.bin/webpack
		[ -e "$command" ] || command=../$command
		"$command" --config ../webpack.config.js && node ../page.js "$OUT/table.js" >"$OUT/page"
	fi
) >"$OUT/build.log" 2>&1 || code=$?
[ "$code" != 0 ] || mv "$OUT/page" "$OUT/page.html"

ln -sfn "$OUT" /var/lib/site/next
mv -T /var/lib/site/next /var/lib/site/latest # at once: who looks finds the one or the other
ls -dt /var/lib/site/build.* | tail -n +3 | xargs -r rm -rf # somebody may be looking into the one before
cat "$OUT/build.log"
exit "$code"
