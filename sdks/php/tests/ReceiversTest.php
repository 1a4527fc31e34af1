<?php

declare(strict_types=1);

namespace MassiveSMS\Tests;

use MassiveSMS\Webhooks;
use PHPUnit\Framework\TestCase;

/**
 * The examples of receivers, where their frameworks are installed (here as Debian installs them).
 *
 * @runTestsInSeparateProcesses
 * @preserveGlobalState disabled
 */
final class ReceiversTest extends TestCase
{
    private const PAYLOAD = '{"id": "evt_1", "type": "test.ping", "data": {"id": "whk_1"}}';
    private const SECRET = 'whsec_x';

    protected function setUp(): void
    {
        putenv('MASSIVESMS_WEBHOOK_SECRET=' . self::SECRET);
        ini_set('error_log', '/dev/null');
        set_include_path(__DIR__ . '/project' . PATH_SEPARATOR . get_include_path());
    }

    public function testSlim(): void
    {
        self::need('Slim/autoload.php', 'Slim/Psr7/autoload.php');
        if (!class_exists(\Slim\Factory\AppFactory::class)) {
            self::markTestSkipped('Slim 4 is not installed');
        }
        self::assertSlim();
    }

    /** Debian has Slim 3 alone: the example runs over the real messages, and what hands them over is a stand-in. */
    public function testSlimWithoutItsRouter(): void
    {
        self::need('Slim/Psr7/autoload.php');
        require __DIR__ . '/SlimStandIn.php';
        self::assertSlim();
    }

    /** No test runs what is not even PHP. */
    public function testExamplesAreWellFormed(): void
    {
        foreach (glob(__DIR__ . '/../examples/*.php') ?: [] as $path) {
            exec(escapeshellarg(PHP_BINARY) . ' -l ' . escapeshellarg($path) . ' 2>&1', $told, $status);
            self::assertSame(0, $status, implode("\n", $told));
        }
    }

    private static function assertSlim(): void
    {
        $_SERVER = ['REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/', 'HTTP_HOST' => 'localhost'] + $_SERVER;
        $app = null;
        ob_start();
        try {
            require __DIR__ . '/../examples/slim_receiver.php';
        } catch (\Slim\Exception\HttpNotFoundException) {
            // The run at the end of the example answers a request that is none.
        }
        ob_end_clean();
        self::assertReceiver(static function (string $body, string $header) use ($app): int {
            $request = (new \Slim\Psr7\Factory\ServerRequestFactory())->createServerRequest('POST', '/webhooks/sms')
                ->withHeader(Webhooks::HEADER, $header)
                ->withBody((new \Slim\Psr7\Factory\StreamFactory())->createStream($body));

            return $app->handle($request)->getStatusCode();
        });
    }

    public function testLaravel(): void
    {
        self::need('Illuminate/Http/autoload.php');
        require __DIR__ . '/../examples/laravel_receiver.php';
        self::assertReceiver(static function (string $body, string $header): int {
            $server = ['HTTP_MSVS_SIGNATURE' => $header];
            $request = \Illuminate\Http\Request::create('/webhooks/sms', 'POST', [], [], [], $server, $body);

            return (new \App\Http\Controllers\WebhookController())($request)->getStatusCode();
        });
    }

    private static function need(string ...$files): void
    {
        foreach ($files as $file) {
            if (stream_resolve_include_path($file) === false) {
                self::markTestSkipped("$file is not installed");
            }
            require_once $file;
        }
    }

    private static function assertReceiver(callable $post): void
    {
        $header = Webhooks::sign(self::PAYLOAD, self::SECRET);
        $answers = [$post(self::PAYLOAD, $header), $post(self::PAYLOAD . ' ', $header), $post(self::PAYLOAD, '')];
        self::assertSame([204, 400, 400], $answers);
    }
}
