#!/bin/sh
grep -qF ':colspan="item.cols ?? 2"' /srv/site/src/Table.vue
