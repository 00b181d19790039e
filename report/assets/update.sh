#!/bin/sh
# Fetches the released files of uPlot, the charts of report.html, and refuses any but these. Needs npm.
#
# To take a newer release: change version and sum (sha256 of the tarball), run this, look at the report, commit.
set -eu
version=1.6.32
sum=4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d

cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" "uplot@$version" >/dev/null
echo "$sum  $work/uplot-$version.tgz" | sha256sum --check --quiet
tar -xzf "$work/uplot-$version.tgz" -C "$work"
mkdir -p uplot
cp "$work/package/dist/uPlot.iife.min.js" "$work/package/dist/uPlot.min.css" "$work/package/LICENSE" uplot/
chmod 644 uplot/*
echo "uPlot $version, MIT" >uplot/VERSION
