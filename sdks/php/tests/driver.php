<?php

declare(strict_types=1);

// Makes the calls that the conformance run asks for: see sdks/conformance/README.md of the repository.

use MassiveSMS\Client;
use MassiveSMS\Exception\APIConnectionError;
use MassiveSMS\Exception\APIStatusError;
use MassiveSMS\Exception\MassiveSMSError;

require __DIR__ . '/../autoload.php';

/**
 * Make a call and return the line that tells of it.
 */
function answer(Client $client, array $operations, array $order): string
{
    [$resource, $method, $ids, $takes] = $operations[$order['operation_id']];
    $args = $order['args'];
    $given = array_map(static fn (string $id) => $args[$id], $ids);
    $params = $takes ? [array_diff_key($args, array_flip($ids))] : [];
    try {
        $result = $client->$resource->$method(...$given, ...$params, ...[$order['options'] ?? []]);
        if ($order['all'] ?? false) {
            $items = iterator_to_array($result->autoPagingIterator(), false);

            return json_encode(['ids' => array_map(static fn ($each) => $each->id, $items)]);
        }
    } catch (MassiveSMSError $failure) {
        return json_encode(['error' => refused($failure)]);
    }
    $response = method_exists($result, 'lastResponse') ? $result->lastResponse() : $result->lastResponse;
    $told = ['request_id' => $response->requestId(), 'idempotency_key' => $response->idempotencyKey, 'tries' => $response->attempts];

    return '{"result": ' . trim($response->body) . ', ' . substr(json_encode($told), 1);
}

/**
 * Tell what an error is.
 */
function refused(MassiveSMSError $failure): array
{
    $status = $failure instanceof APIStatusError ? $failure : null;
    $sent = $failure instanceof APIConnectionError ? $failure : $status;

    return [
        'name' => (new ReflectionClass($failure))->getShortName(),
        'status' => $status?->status,
        'code' => $status?->errorCode,
        'request_id' => $status?->requestId,
        'idempotency_key' => $sent?->idempotencyKey,
        'tries' => $sent?->attempts,
    ];
}

$client = new Client();
$operations = require __DIR__ . '/operations.php';
while (($line = fgets(STDIN)) !== false) {
    fwrite(STDOUT, answer($client, $operations, json_decode($line, true, 512, JSON_THROW_ON_ERROR)) . "\n");
    fflush(STDOUT);
}
