#!/bin/sh
rm -f /etc/nginx/conf.d/new.conf
