<?php

require 'vendor/autoload.php';

$client = new \MassiveSMS\Client(); // the key is read from MASSIVESMS_API_KEY
$messages = $client->messages->list([
    'status' => \MassiveSMS\Enums\MessageStatusFilter::DELIVERED,
    'limit' => 100,
]);
foreach ($messages->autoPagingIterator() as $message) {
    echo $message->id, "\n";
}
