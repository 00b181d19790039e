#!/bin/sh
grep -q "^lissten" /etc/nginx/conf.d/new.conf
