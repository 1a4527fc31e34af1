cursor=""
while :; do
  page=$(curl --fail-with-body -sS "$MASSIVESMS_BASE_URL/v1/lists?limit=100$cursor" \
    -H "Authorization: Bearer $MASSIVESMS_API_KEY")
  echo "$page" | grep -o 'lst_[0-9A-Z]*'
  case $page in *'"has_more":true'*) ;; *) break ;; esac
  cursor="&starting_after=$(echo "$page" | grep -o 'lst_[0-9A-Z]*' | tail -n 1)"
done
