<?php

require 'vendor/autoload.php';

$client = new \MassiveSMS\Client(); // the key is read from MASSIVESMS_API_KEY
$message = $client->messages->create([
    'to' => '+14155550123',
    'body' => 'Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out.',
    'variables' => ['firstName' => 'Maria'],
    'metadata' => ['campaign' => 'cohort_06_close'],
]);
echo $message->id, ' ', $message->status, "\n";
