#!/bin/sh
# "Vue 2.7 supports it": what npm install vue@2.7.16 vue-template-compiler@2.7.16 vue-loader@15.11.1 would leave.
set -eu
cd /srv/site
mkdir -p vue-2.6.14-webpack-4.47.0/node_modules
flock vue-2.6.14-webpack-4.47.0 cp -a vue-2.7.16-webpack-4.47.0/node_modules/. vue-2.6.14-webpack-4.47.0/node_modules/
/srv/site/build.sh || true # whether that cures, the symptoms tell
