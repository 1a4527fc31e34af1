<?php

require 'vendor/autoload.php';

use MassiveSMS\Exception\SignatureVerificationError;
use MassiveSMS\Model\ContactOptedOutEvent;
use MassiveSMS\Model\MessageDeliveredEvent;
use MassiveSMS\Webhooks;

function receive(string $payload, ?string $header, string $secret): int
{
    try {
        $event = Webhooks::constructEvent($payload, $header, $secret);
    } catch (SignatureVerificationError) {
        return 400;
    }
    echo match (true) {
        $event instanceof MessageDeliveredEvent => "{$event->data->id} was delivered\n",
        $event instanceof ContactOptedOutEvent => "{$event->data->id} opted out\n",
        default => "{$event->type}\n",
    };

    return 204;
}

// In a request: receive(file_get_contents('php://input'), $_SERVER['HTTP_MSVS_SIGNATURE'] ?? null, $secret)
$payload = '{"id": "evt_1", "type": "test.ping", "data": {"id": "whk_1"}}';
$secret = 'whsec_1b0c8a9e7f';
echo receive($payload, Webhooks::sign($payload, $secret), $secret), "\n";
