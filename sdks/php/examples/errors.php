<?php

require 'vendor/autoload.php';

$client = new \MassiveSMS\Client(); // the key is read from MASSIVESMS_API_KEY
try {
    $client->messages->create(['to' => '+1abc', 'body' => 'Hello']);
} catch (\MassiveSMS\Exception\RateLimitError $failure) {
    echo "too many requests; wait {$failure->retryAfter} s\n";
} catch (\MassiveSMS\Exception\APIStatusError $failure) {
    echo "{$failure->status} {$failure->errorCode} {$failure->param} {$failure->requestId}\n";
} catch (\MassiveSMS\Exception\APIConnectionError $failure) {
    echo "no answer; send it again with {$failure->idempotencyKey}\n";
}
