<?php

require 'vendor/autoload.php';

$client = new \MassiveSMS\Client(); // the key is read from MASSIVESMS_API_KEY
foreach ([1, 2] as $time) {
    $message = $client->messages->create(
        ['to' => '+14155550123', 'body' => 'Your seat is booked.'],
        ['idempotency_key' => 'order-4711-booked'],
    );
    echo $message->id, ' ', $message->lastResponse()->replayed() ? 'replayed' : 'done', "\n";
}
