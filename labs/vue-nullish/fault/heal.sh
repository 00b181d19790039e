#!/bin/sh
set -eu
sed -i 's/"item\.cols ?? 2"/"item.cols"/' /srv/site/src/Table.vue
