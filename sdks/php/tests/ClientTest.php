<?php

declare(strict_types=1);

namespace MassiveSMS\Tests;

use MassiveSMS\Client;
use MassiveSMS\Exception\APIStatusError;
use MassiveSMS\Exception\APITimeoutError;
use MassiveSMS\Exception\ConfigurationError;
use MassiveSMS\Exception\PaymentRequiredError;
use MassiveSMS\Model\Contact;
use MassiveSMS\Model\Webhook;
use MassiveSMS\Testing\FakeTransport;
use MassiveSMS\Webhooks;
use PHPUnit\Framework\TestCase;

/**
 * What vectors do not say: PHP's own ways.
 */
final class ClientTest extends TestCase
{
    use Vectors;

    private const SMS = ['to' => '+14155550123', 'body' => 'The cart closes tonight.'];

    public function testSecretsAreNeverShown(): void
    {
        $lines = [];
        $logger = static function (string $line) use (&$lines): void {
            $lines[] = $line;
        };
        $client = self::client(new FakeTransport([['body' => '{"data": []}']]), ['logger' => $logger]);
        $page = $client->contacts->list(['phone' => '+14155550123']);
        $hook = Webhook::of(['id' => 'whk_1', 'secret' => 'whsec_1b0c8a9e7f']);
        $plain = new Client(['api_key' => FakeTransport::KEY]);
        $shown = print_r([$client, $client->contacts, $page, $page->lastResponse, $hook], true)
            . var_export($plain, true) . implode($lines);
        foreach ([FakeTransport::KEY, '4155550123', 'whsec_1b0c8a9e7f'] as $secret) {
            self::assertStringNotContainsString($secret, $shown);
        }
        self::assertSame(['massivesms: GET /v1/contacts: 200 at attempt 1, '], $lines);
        self::assertSame('whsec_1b0c8a9e7f', $hook->secret);
    }

    public function testTheResponseIsThereAlsoWhereItFails(): void
    {
        $headers = ['X-Request-Id' => 'req_1', 'Idempotent-Replayed' => 'true'];
        $client = self::client(new FakeTransport([['status' => 402, 'headers' => $headers, 'body' => '{"error": {}}']]));
        $failure = self::failure(static fn () => $client->messages->create(self::SMS, ['idempotency_key' => 'order-1']));
        self::assertInstanceOf(PaymentRequiredError::class, $failure);
        self::assertSame([402, 'req_1', 'order-1'], [$failure->status, $failure->requestId, $failure->idempotencyKey]);
        self::assertSame('{"error": {}}', $failure->response->body);
        self::assertTrue($failure->response->replayed());
    }

    public function testAResultHasItsResponseAndWhatIsNotKnown(): void
    {
        $client = self::client(new FakeTransport([['headers' => ['X-Request-Id' => 'req_1'], 'body' => '{"id": "msg_1", "new": 7}']]));
        $message = $client->messages->create(self::SMS);
        self::assertSame(['msg_1', 7, 7, 'req_1'], [$message->id, $message['new'], $message->new, $message->lastResponse()->requestId()]);
        $uuid = '/\A[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z/';
        self::assertMatchesRegularExpression($uuid, $message->lastResponse()->idempotencyKey);
    }

    public function testAnEmptyMapIsAnObjectAndAnEmptyListAList(): void
    {
        $transport = new FakeTransport([[], []]);
        $client = self::client($transport);
        $client->messages->create(self::SMS + ['metadata' => []]);
        $client->contacts->importBatch(['contacts' => [['phone' => '+14155550123', 'attributes' => []]]]);
        self::assertStringContainsString('"metadata":{}', $transport->requests[0]->body);
        self::assertSame('{"contacts":[{"phone":"+14155550123","attributes":{}}]}', $transport->requests[1]->body);
    }

    public function testFiltersAreListsMapsAndTimes(): void
    {
        $transport = new FakeTransport([['body' => '{"data": []}']]);
        self::client($transport)->messages->list([
            'statuses' => ['failed', 'skipped'],
            'metadata' => ['campaign' => 'cohort 06'],
            'created_at[gte]' => new \DateTimeImmutable('@1777680000'),
        ]);
        $expected = 'statuses=failed%2Cskipped&metadata%5Bcampaign%5D=cohort%2006&created_at%5Bgte%5D=2026-05-02T00%3A00%3A00Z';
        self::assertSame($expected, parse_url($transport->requests[0]->url, PHP_URL_QUERY));
    }

    public function testAPageThatIsShortGoesOnFromItsCursor(): void
    {
        $transport = new FakeTransport([
            ['body' => '{"has_more": true, "data": [], "next_cursor": "msg_5"}'],
            ['body' => '{"has_more": false, "data": [{"id": "msg_1"}]}'],
        ]);
        $found = iterator_to_array(self::client($transport)->messages->list()->autoPagingIterator());
        self::assertSame('msg_1', $found[0]->id);
        self::assertStringEndsWith('?starting_after=msg_5', $transport->requests[1]->url);
    }

    public function testWhatIsNotKnownIsRefusedBeforeAnythingIsSent(): void
    {
        $transport = new FakeTransport();
        $client = self::client($transport);
        $calls = [
            static fn () => $client->messages->create(self::SMS, ['retries' => 1]),
            static fn () => new Client(['api_key' => FakeTransport::KEY, 'baseUrl' => 'x']),
            static fn () => $client->mesages,
        ];
        foreach (['', "a\nb", 'é', str_repeat('x', 256)] as $key) {
            $calls[] = static fn () => $client->messages->create(self::SMS, ['idempotency_key' => $key]);
        }
        foreach ($calls as $call) {
            self::assertInstanceOf(ConfigurationError::class, self::failure($call));
        }
        self::assertSame([], $transport->requests);
    }

    public function testCollectionsAreSentAsWhatTheyHoldAndObjectsNotAtAll(): void
    {
        $transport = new FakeTransport([[], ['body' => '{"data": []}']]);
        $client = self::client($transport);
        $contact = Contact::of(['id' => 'con_1', 'attributes' => ['tier' => 'vip']]);
        $each = static function (): \Generator {
            yield 'a';
            yield 'b';
        };
        $given = ['ids' => $each(), 'map' => new \ArrayObject(['a' => 1]), 'like' => $contact];
        $client->contacts->update('con_1', ['attributes' => $given]);
        $client->messages->list(['statuses' => new \ArrayIterator(['sent', 'failed'])]);
        $expected = ['ids' => ['a', 'b'], 'map' => ['a' => 1], 'like' => ['id' => 'con_1', 'attributes' => ['tier' => 'vip']]];
        self::assertSame(['attributes' => $expected], json_decode($transport->requests[0]->body, true));
        self::assertStringEndsWith('?statuses=sent%2Cfailed', $transport->requests[1]->url);
        foreach ([new class () {
            public int $a = 1;
        }, NAN, INF, fopen('php://memory', 'r')] as $value) {
            $failure = self::failure(static fn () => $client->contacts->update('con_1', ['attributes' => ['a' => $value]]));
            self::assertInstanceOf(ConfigurationError::class, $failure);
        }
        self::assertCount(2, $transport->requests);
    }

    public function testHeadersOfACallReplaceTheClientsAndNeverTheKey(): void
    {
        $transport = new FakeTransport([[]]);
        $given = ['authorization' => 'Bearer other', 'user-agent' => 'mine', 'content-type' => 'text/plain', 'idempotency-key' => 'no'];
        self::client($transport)->messages->create(self::SMS, ['headers' => $given, 'idempotency_key' => 'mine']);
        $sent = $transport->requests[0]->headers;
        self::assertSame(
            ['Bearer ' . FakeTransport::KEY, 'mine', 'application/json', 'mine'],
            [$sent['Authorization'], $sent['user-agent'], $sent['Content-Type'], $sent['Idempotency-Key']],
        );
        self::assertCount(count($sent), array_change_key_case($sent));
    }

    public function testTimesAndCountsThatCannotBeAreRefused(): void
    {
        $transport = new FakeTransport();
        $wrong = [
            ['timeout' => 0], ['timeout' => INF], ['timeout' => NAN], ['timeout' => '5'], ['deadline' => -1], ['max_retries' => -1],
            ['max_retries' => 1.5],
        ];
        foreach ($wrong as $settings) {
            self::assertInstanceOf(ConfigurationError::class, self::failure(static fn () => self::client($transport, $settings)));
            $call = static fn () => self::client($transport)->credits->retrieve($settings);
            self::assertInstanceOf(ConfigurationError::class, self::failure($call));
        }
        $none = static fn () => self::client($transport, ['connect_timeout' => 0]);
        self::assertInstanceOf(ConfigurationError::class, self::failure($none));
        self::assertSame([], $transport->requests);
    }

    public function testALongerAttemptHasItsTime(): void
    {
        foreach ([[[], 3], [['timeout' => 200], 4], [['timeout' => 200, 'deadline' => 60], 2]] as [$settings, $attempts]) {
            $now = 0.0;
            $busy = ['status' => 429, 'headers' => ['Retry-After' => '50'], 'body' => '{}'];
            $client = self::client(new FakeTransport(array_fill(0, 6, $busy)), $settings + [
                'max_retries' => 5,
                'clock' => static function () use (&$now): float {
                    return $now;
                },
                'sleeper' => static function (float $seconds) use (&$now): void {
                    $now += $seconds;
                },
            ]);
            self::assertSame($attempts, self::failure(static fn () => $client->credits->retrieve())->attempts);
        }
    }

    /**
     * A .env file that is read as Symfony does is not in getenv().
     */
    public function testTheKeyOfADotEnvFileIsFound(): void
    {
        $kept = getenv('MASSIVESMS_API_KEY');
        putenv('MASSIVESMS_API_KEY');
        $_ENV['MASSIVESMS_API_KEY'] = FakeTransport::KEY;
        try {
            self::assertFalse((new Client(['transport' => new FakeTransport()]))->livemode);
        } finally {
            unset($_ENV['MASSIVESMS_API_KEY']);
            putenv($kept === false ? 'MASSIVESMS_API_KEY' : "MASSIVESMS_API_KEY=$kept");
        }
    }

    public function testWithoutCurlIsSaidWhatIsMissing(): void
    {
        $script = 'require ' . var_export(dirname(__DIR__) . '/autoload.php', true) . ';'
            . 'try { new MassiveSMS\Client(["api_key" => ' . var_export(FakeTransport::KEY, true) . ']); }'
            . 'catch (MassiveSMS\Exception\ConfigurationError $error) { echo $error->getMessage(); }';
        $said = (string) shell_exec(PHP_BINARY . ' -n -r ' . escapeshellarg($script));
        if ($said === '') {
            self::markTestSkipped('curl is built into this PHP');
        }
        self::assertStringContainsString('curl extension', $said);
    }

    public function testAParsedBodyIsRefusedWithWhatToDo(): void
    {
        $failure = self::failure(static fn () => Webhooks::constructEvent(['id' => 'evt_1'], 't=1,v1=x', 'whsec_x'));
        self::assertInstanceOf(ConfigurationError::class, $failure);
        self::assertStringContainsString("php://input", $failure->getMessage());
    }

    public function testACutAnswerIsTriedAgainWithItsKey(): void
    {
        $server = new Server("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\": \"msg_", Server::answer('{"id": "msg_1"}'));
        $client = new Client(['api_key' => FakeTransport::KEY, 'base_url' => $server->url, 'sleeper' => static fn () => null]);
        self::assertSame('msg_1', $client->messages->create(self::SMS)->id);
        preg_match_all('/^Idempotency-Key: (.*)\r$/mi', $server->received(), $keys);
        self::assertCount(2, $keys[1]);
        self::assertCount(1, array_unique($keys[1]));
    }

    public function testARedirectIsNotFollowed(): void
    {
        $server = new Server("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        $client = new Client(['api_key' => FakeTransport::KEY, 'base_url' => $server->url]);
        $failure = self::failure(static fn () => $client->credits->retrieve());
        self::assertInstanceOf(APIStatusError::class, $failure);
        self::assertSame(302, $failure->status);
        self::assertStringNotContainsString('/elsewhere', $server->received());
    }

    public function testNothingIsWaitedForLongerThanTheTimeOfAnAttempt(): void
    {
        $server = new Server('');
        $client = new Client(['api_key' => FakeTransport::KEY, 'base_url' => $server->url, 'max_retries' => 0, 'timeout' => 0.05]);
        $failure = self::failure(static fn () => $client->messages->create(self::SMS));
        self::assertInstanceOf(APITimeoutError::class, $failure);
        self::assertNotNull($failure->idempotencyKey);
    }
}
