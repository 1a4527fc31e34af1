<?php

declare(strict_types=1);

namespace MassiveSMS\Tests;

use MassiveSMS\Client;
use MassiveSMS\Exception\APIConnectionError;
use MassiveSMS\Exception\APITimeoutError;
use MassiveSMS\Testing\FakeTransport;

/**
 * What suites have in common: the shared vectors, and calls by the ids of operations.
 */
trait Vectors
{
    private const BASE_URL = 'http://127.0.0.1:1';

    private static function vectors(string $name): array
    {
        $folder = getenv('MASSIVESMS_VECTORS') ?: dirname(__DIR__, 2) . '/vectors';
        if (!is_file("$folder/$name.json")) {
            self::markTestSkipped('the vectors are in the repository alone');
        }

        return json_decode(file_get_contents("$folder/$name.json"), true, 512, JSON_THROW_ON_ERROR);
    }

    private static function client(FakeTransport $transport, array $settings = []): Client
    {
        return new Client($settings + ['api_key' => FakeTransport::KEY, 'base_url' => self::BASE_URL, 'transport' => $transport]);
    }

    private static function call(Client $client, string $operation, array $args, array $options = []): mixed
    {
        static $operations = null;
        $operations ??= require __DIR__ . '/operations.php';
        [$resource, $method, $ids, $takes] = $operations[$operation];
        $given = array_map(static fn (string $id) => $args[$id], $ids);
        $params = $takes ? [array_diff_key($args, array_flip($ids))] : [];

        return $client->$resource->$method(...$given, ...$params, ...[$options]);
    }

    private static function answer(array $given): array|\Throwable
    {
        return match ($given['fault'] ?? null) {
            'connection' => new APIConnectionError('connection reset'),
            'timeout' => new APITimeoutError('timed out'),
            default => ['status' => $given['status'], 'headers' => $given['headers'], 'body' => $given['body']],
        };
    }

    private static function failure(callable $made): ?\Throwable
    {
        try {
            $made();
        } catch (\MassiveSMS\Exception\MassiveSMSError $failure) {
            return $failure;
        }

        return null;
    }

    private static function kind(?\Throwable $failure): string
    {
        return $failure === null ? 'none' : (new \ReflectionClass($failure))->getShortName();
    }
}
