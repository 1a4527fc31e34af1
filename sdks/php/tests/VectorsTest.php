<?php

declare(strict_types=1);

namespace MassiveSMS\Tests;

use MassiveSMS\Client;
use MassiveSMS\Exception\APIStatusError;
use MassiveSMS\Exception\ConfigurationError;
use MassiveSMS\Model\Event;
use MassiveSMS\Testing\FakeTransport;
use MassiveSMS\Webhooks;
use PHPUnit\Framework\TestCase;

/**
 * The vectors that the suites of all SDKs read.
 */
final class VectorsTest extends TestCase
{
    use Vectors;

    public function testRetries(): void
    {
        foreach (self::vectors('retries')['cases'] as $case) {
            $at = 0.0;
            $waits = [];
            $settings = array_intersect_key($case, ['max_retries' => 0, 'deadline' => 0]) + [
                'clock' => static function () use (&$at): float {
                    return $at;
                },
                'sleeper' => static function (float $seconds) use (&$at, &$waits): void {
                    $waits[] = $seconds;
                    $at += $seconds;
                },
            ];
            $transport = new FakeTransport(array_map(self::answer(...), $case['answers']));
            $options = isset($case['key']) ? ['idempotency_key' => $case['key']] : [];
            $client = self::client($transport, $settings);
            $failure = self::failure(static fn () => self::call($client, $case['operation_id'], $case['args'], $options));
            self::assertSame($case['error'] ?? 'none', self::kind($failure), $case['name']);
            if (isset($case['code'])) {
                self::assertSame($case['code'], $failure->errorCode, $case['name']);
            }
            self::assertCount($case['tries'], $transport->requests, $case['name']);
            self::assertWaits($case['waits'], $waits, $case['name']);
            self::assertOneKey($transport, $case['key'] ?? null, $failure, $case['name']);
        }
    }

    private static function assertWaits(array $expected, array $waits, string $name): void
    {
        self::assertCount(count($expected), $waits, $name);
        foreach ($waits as $place => $wait) {
            self::assertGreaterThanOrEqual($expected[$place][0], $wait, $name);
            self::assertLessThanOrEqual($expected[$place][1], $wait, $name);
        }
    }

    private static function assertOneKey(FakeTransport $transport, ?string $own, ?\Throwable $failure, string $name): void
    {
        $keys = array_map(static fn ($each) => $each->headers['Idempotency-Key'] ?? null, $transport->requests);
        self::assertCount(1, array_unique($keys), $name);
        self::assertSame($transport->requests[0]->method === 'GET', $keys[0] === null, $name);
        if ($own !== null) {
            self::assertSame($own, $keys[0], $name);
        }
        if ($failure !== null) {
            self::assertSame($keys[0], $failure->idempotencyKey, $name);
        }
    }

    public function testPaging(): void
    {
        foreach (self::vectors('paging')['cases'] as $case) {
            $answers = array_map(static fn ($page) => ['body' => json_encode($page['answer'])], $case['pages']);
            $transport = new FakeTransport($answers);
            $ids = [];
            foreach (self::call(self::client($transport), $case['operation_id'], $case['args'])->autoPagingIterator() as $item) {
                $ids[] = $item->id;
                if (count($ids) === ($case['take'] ?? null)) {
                    break;
                }
            }
            self::assertSame($case['ids'], $ids, $case['name']);
            $queries = array_map(static function ($request): array {
                parse_str((string) parse_url($request->url, PHP_URL_QUERY), $query);

                return $query;
            }, $transport->requests);
            self::assertEquals(array_column($case['pages'], 'query'), $queries, $case['name']);
        }
    }

    public function testErrors(): void
    {
        $read = self::vectors('errors');
        foreach ($read['cases'] as $case) {
            $client = self::client(new FakeTransport([self::answer($case)]), ['max_retries' => 0]);
            $failure = self::failure(static fn () => self::call($client, $case['operation_id'], $case['args']));
            self::assertInstanceOf(APIStatusError::class, $failure, $case['name']);
            $found = [
                'name' => self::kind($failure), 'status' => $failure->status, 'type' => $failure->type,
                'code' => $failure->errorCode, 'message' => $failure->apiMessage, 'param' => $failure->param,
                'request_id' => $failure->requestId, 'required' => $failure->required,
                'available' => $failure->available, 'resets_at' => $failure->resetsAt,
                'existing_id' => $failure->existingId, 'retry_after' => $failure->retryAfter,
            ];
            self::assertEquals($case['error'], $found, $case['name']);
            $shown = "$failure" . print_r($failure->response, true) . print_r($client, true) . print_r($client->messages, true);
            self::assertStringNotContainsString($case['never_in_text'], $shown, $case['name']);
            foreach (array_filter([$case['error']['code'], $case['error']['request_id']]) as $part) {
                self::assertStringContainsString($part, $failure->getMessage(), $case['name']);
            }
        }
        foreach ($read['kinds'] as $type => $name) {
            $body = json_encode(['error' => ['type' => $type, 'code' => 'x', 'message' => 'y']]);
            $client = self::client(new FakeTransport([['status' => 418, 'body' => $body]]));
            self::assertSame($name, self::kind(self::failure(static fn () => $client->credits->retrieve())));
        }
    }

    public function testSignatures(): void
    {
        $read = self::vectors('signatures');
        foreach ($read['cases'] as $case) {
            $payload = base64_decode($case['payload_base64']);
            $tolerance = $case['tolerance'] ?? Webhooks::TOLERANCE;
            $failure = self::failure(
                static fn () => Webhooks::verify($payload, $case['header'], $case['secret'], $tolerance, $case['now']),
            );
            self::assertSame($case['valid'] ? null : $case['reason'], $failure?->reason, $case['name']);
            if ($failure !== null && $case['secret'] !== '') {
                self::assertStringNotContainsString($case['secret'], "$failure", $case['name']);
            }
        }
        foreach ($read['signing'] as $case) {
            $header = Webhooks::sign(base64_decode($case['payload_base64']), $case['secret'], $case['timestamp']);
            self::assertSame($case['header'], $header, $case['name']);
        }
    }

    public function testStandardWebhooks(): void
    {
        foreach (self::vectors('signatures')['standard'] as $case) {
            $payload = base64_decode($case['payload_base64']);
            $tolerance = $case['tolerance'] ?? Webhooks::TOLERANCE;
            $headers = array_change_key_case($case['headers'], CASE_UPPER);
            $failure = self::failure(
                static fn () => Webhooks::constructStandardEvent($payload, $headers, $case['secret'], $tolerance, $case['now']),
            );
            self::assertSame($case['valid'] ? null : $case['reason'], $failure?->reason, $case['name']);
        }
    }

    public function testSignedBodiesThatAreNoEvents(): void
    {
        foreach (self::vectors('signatures')['no_events'] as $case) {
            $payload = base64_decode($case['payload_base64'], true);
            $header = Webhooks::sign($payload, 'whsec_a');
            $failure = self::failure(static fn () => Webhooks::constructEvent($payload, $header, 'whsec_a'));
            self::assertSame('InvalidPayloadError', self::kind($failure), $case['name']);
        }
    }

    public function testEvents(): void
    {
        foreach (self::vectors('events')['cases'] as $case) {
            $payload = $case['payload'];
            $event = Webhooks::constructEvent($payload, Webhooks::sign($payload, 'whsec_x'), 'whsec_x');
            self::assertSame([$case['type'], $case['id']], [$event->type, $event->id], $case['name']);
            self::assertSame($case['known'], $event::class !== Event::class, $case['name']);
            self::assertSame($case['known'], is_object($event->data), $case['name']);
            foreach ($case['data_fields'] as $name => $value) {
                $found = $event->data[$name];
                $found = $found instanceof \DateTimeInterface ? $found->format('Y-m-d\TH:i:sp') : $found;
                self::assertSame($value, is_object($found) ? $found->toArray() : $found, "{$case['name']} $name");
            }
            $fetched = self::client(new FakeTransport([['body' => $payload]]))->events->retrieve('evt_1');
            self::assertSame(json_decode($payload, true), $event->toArray());
            self::assertSame([$event::class, $event->toArray()], [$fetched::class, $fetched->toArray()]);
        }
    }

    public function testEncodings(): void
    {
        $read = self::vectors('encodings');
        foreach ($read['cases'] as $case) {
            $transport = new FakeTransport([[]]);
            $failure = self::failure(static fn () => self::call(self::client($transport), $case['operation_id'], $case['args']));
            self::assertSame($case['error'] ?? 'none', self::kind($failure), $case['name'] . $failure?->getMessage());
            self::assertCount(isset($case['error']) ? 0 : 1, $transport->requests, $case['name']);
            if (isset($case['error'])) {
                continue;
            }
            $request = $transport->requests[0];
            self::assertSame($case['method'], $request->method);
            self::assertSame(self::ordered(self::BASE_URL . $case['target']), self::ordered($request->url), $case['name']);
            // Compared as JSON, where an empty object is not an empty list.
            $body = $case['body'] === [] ? '{}' : json_encode($case['body']);
            $case['body'] === null
                ? self::assertNull($request->body, $case['name'])
                : self::assertJsonStringEqualsJsonString($body, $request->body, $case['name']);
            foreach ($read['headers'] as $name => $pattern) {
                $expected = '~' . str_replace('{language}', 'php', $pattern) . '~';
                self::assertMatchesRegularExpression($expected, $request->headers[$name]);
            }
        }
    }

    private static function ordered(string $url): array
    {
        $parts = explode('?', $url);
        $query = explode('&', $parts[1] ?? '');
        sort($query);

        return [$parts[0], $query];
    }

    public function testTimes(): void
    {
        foreach (self::vectors('encodings')['times'] as $case) {
            $transport = new FakeTransport([[]]);
            $zone = sprintf('%s%02d:%02d', $case['offset_minutes'] < 0 ? '-' : '+', intdiv(abs($case['offset_minutes']), 60), abs($case['offset_minutes']) % 60);
            $at = (new \DateTimeImmutable('@' . $case['epoch']))->setTimezone(new \DateTimeZone($zone));
            self::client($transport)->messages->create(['to' => '+14155550123', 'body' => 'x', 'scheduled_at' => $at]);
            self::assertSame($case['wire'], json_decode($transport->requests[0]->body)->scheduled_at);
        }
    }

    public function testKeysAndBaseUrls(): void
    {
        $read = self::vectors('encodings');
        foreach ($read['keys'] as $case) {
            $made = null;
            $failure = self::failure(static function () use ($case, &$made): void {
                $made = new Client(['api_key' => $case['key']]);
            });
            self::assertSame($case['valid'], $failure === null, $case['key']);
            self::assertSame($case['livemode'] ?? null, $made?->livemode, $case['key']);
            if ($case['key'] !== '' && $failure !== null) {
                self::assertStringNotContainsString($case['key'], "$failure");
            }
        }
        foreach ($read['base_urls'] as $case) {
            $made = null;
            $failure = self::failure(static function () use ($case, &$made): void {
                $made = new Client(['api_key' => FakeTransport::KEY, 'base_url' => $case['base_url']]);
            });
            self::assertSame($case['url'], $made?->baseUrl, $case['base_url']);
            self::assertSame($case['url'] === null, $failure instanceof ConfigurationError, $case['base_url']);
        }
    }
}
