#!/bin/sh
# The same in words that every version knows.
set -eu
sed -i 's/"item\.cols ?? 2"/"item.cols == null ? 2 : item.cols"/' /srv/site/src/Table.vue
/srv/site/build.sh || true # whether that cures, the symptoms tell
