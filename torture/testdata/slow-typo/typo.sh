#!/bin/sh
sleep 1
echo "lissten 8080;" >/etc/nginx/conf.d/new.conf
