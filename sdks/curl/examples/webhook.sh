# What your endpoint does: take t and v1 of MSVS-Signature, and sign the body as it came.
secret="${MASSIVESMS_WEBHOOK_SECRET:-whsec_of_your_endpoint}"
t=$(date +%s)
body='{"id":"evt_1","type":"test.ping","data":{}}'
printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$secret" | sed 's/^.* //'
