<?php

require 'vendor/autoload.php';

$client = new \MassiveSMS\Client(); // the key is read from MASSIVESMS_API_KEY
$list = $client->lists->create(['name' => 'Cohort 06, open cart']);
$contact = $client->contacts->create(['phone' => '+14155550124', 'on_conflict' => 'update']);
$client->lists->addContacts($list->id, ['contact_ids' => [$contact->id]]);
$campaign = $client->campaigns->create([
    'name' => 'Cohort 06, cart closes in 4 hours',
    'body' => 'Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.',
    'audience' => ['list_ids' => [$list->id]],
    'scheduled_at' => new DateTimeImmutable('+1 day'),
]);
echo $campaign->id, ' ', $campaign->status, "\n";
