<?php

require 'vendor/autoload.php';

$client = new \MassiveSMS\Client(); // the key is read from MASSIVESMS_API_KEY
$batch = $client->messages->createBatch([
    'messages' => [
        ['to' => '+14155550123', 'body' => 'Hey Maria, your seat is 12A.'],
        ['to' => '+14155550124', 'body' => 'Hey {name}, your seat is 14C.', 'variables' => ['name' => 'Ana']],
    ],
]);
foreach ($batch->data as $entry) {
    echo $entry->index, ' ', $entry->message?->id ?? $entry->error?->code, "\n";
}
