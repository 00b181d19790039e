#!/bin/sh
# nuxt/typescript#533: another compiler of templates, which calls babel where vue-template-es2015-compiler calls buble.
set -eu
cat >>/srv/site/webpack.config.js <<'JS'

module.exports.module.rules[0].options = { compiler: require('vue-template-babel-compiler') }
JS
/srv/site/build.sh || true # whether that cures, the symptoms tell
