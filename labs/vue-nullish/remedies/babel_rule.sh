#!/bin/sh
# vuejs/vue#11088: babel takes ?? out of what the project has as JavaScript.
set -eu
cat >>/srv/site/webpack.config.js <<'JS'

module.exports.module.rules.push({
  test: /\.js$/,
  loader: 'babel-loader',
  options: { plugins: ['@babel/plugin-transform-nullish-coalescing-operator'] },
})
JS
/srv/site/build.sh || true # whether that cures, the symptoms tell
