#!/bin/sh
# Creates the two roles and the database, as `msvs database roles` prints them. The postgres image runs it once.
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
	--set owner_password="$OWNER_PASSWORD" --set service_password="$SERVICE_PASSWORD" <<'SQL'
CREATE ROLE msvs_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE msvs_service LOGIN PASSWORD :'service_password';
CREATE DATABASE msvs_production OWNER msvs_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE msvs_production FROM PUBLIC;
GRANT CONNECT ON DATABASE msvs_production TO msvs_service;
SQL
