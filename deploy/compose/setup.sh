#!/bin/sh
# Writes the settings and secrets of a new deployment beside this file: ./setup.sh sms.example.com
# What is there already is kept. Keep a copy of MSVS_SECRET_KEY elsewhere: no backup opens without it.
set -eu
cd "$(dirname "$0")"
domain=${1:?"the name under which the service is reached, such as sms.example.com"}
case $domain in *[!A-Za-z0-9.-]* | .* | -*) echo "$domain is not the name of a host" >&2; exit 2 ;; esac
for file in .env service.env owner.env; do
	if [ -e "$file" ]; then
		echo "$file is there already; nothing was changed" >&2
		exit 1
	fi
done
umask 077
hex() { openssl rand -hex 24; }
owner=$(hex)
service=$(hex)
cat >.env <<EOF
MSVS_DOMAIN=$domain
POSTGRES_PASSWORD=$(hex)
OWNER_PASSWORD=$owner
SERVICE_PASSWORD=$service
EOF
cat >owner.env <<EOF
MIGRATIONS_DATABASE_URL=postgresql://msvs_owner:$owner@postgres/msvs_production
EOF
cat >service.env <<EOF
MSVS_ENV=production
MSVS_PUBLIC_URL=https://$domain
DATABASE_URL=postgresql://msvs_service:$service@postgres/msvs_production
REDIS_URL=redis://valkey:6379/0
MSVS_TRUSTED_PROXIES=172.30.80.0/24
MSVS_CARRIERS=/etc/msvs/carriers.toml
MSVS_SECRET_KEY=$(openssl rand -base64 32)
MSVS_OPERATOR_PASSWORD=$(hex)
MSVS_METRICS_TOKEN=$(hex)
EOF
if ! [ -e carriers.toml ]; then
	echo "# The carriers for live messages: see docs/carriers.md. Secrets stand in service.env: { env = \"NAME\" }." >carriers.toml
fi
# The container reads it as another user; it holds no secret.
chmod 0644 carriers.toml
echo "Wrote .env, service.env and owner.env. Next: docker compose up --detach --build"
