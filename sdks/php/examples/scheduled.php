<?php

require 'vendor/autoload.php';

$client = new \MassiveSMS\Client(); // the key is read from MASSIVESMS_API_KEY
$message = $client->messages->create([
    'to' => '+14155550123',
    'body' => 'Doors open in an hour.',
    'scheduled_at' => new DateTimeImmutable('+2 days'),
]);
echo $client->messages->cancel($message->id)->status, "\n";
