#!/bin/sh
echo "lissten 8080;" >/etc/nginx/conf.d/new.conf
