<?php

declare(strict_types=1);

namespace MassiveSMS;

use MassiveSMS\Exception\APIConnectionError;
use MassiveSMS\Exception\APITimeoutError;
use MassiveSMS\Exception\ConfigurationError;

/**
 * Sends requests with the curl extension, each over a connection of its own: over a kept one that is cut, curl sends the
 * request again by itself, so that attempts are not what the client says. CURLOPT_FRESH_CONNECT false keeps connections.
 */
final class CurlTransport implements Transport
{
    private ?\CurlHandle $handle = null;
    private int $process = 0;

    /**
     * @param float $connectTimeout seconds to open a connection
     * @param array<int, mixed> $options further options of curl, such as a proxy
     */
    public function __construct(private readonly float $connectTimeout = 5.0, private readonly array $options = [])
    {
        if (!function_exists('curl_init')) {
            throw new ConfigurationError('PHP has no curl extension: install it, such as php-curl, or give a transport');
        }
    }

    public function send(Request $request, float $timeout): Response
    {
        $handle = $this->handle();
        $headers = [];
        curl_reset($handle);
        curl_setopt_array($handle, $this->options + [
            CURLOPT_URL => $request->url,
            CURLOPT_CUSTOMREQUEST => $request->method,
            CURLOPT_HTTPHEADER => self::lines($request->headers),
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_FRESH_CONNECT => true,
            CURLOPT_FORBID_REUSE => $this->options[CURLOPT_FRESH_CONNECT] ?? true,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_CONNECTTIMEOUT_MS => max(1, (int) round($this->connectTimeout * 1000)),
            CURLOPT_TIMEOUT_MS => max(1, (int) round($timeout * 1000)),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_TCP_KEEPALIVE => 1,
            CURLOPT_HEADERFUNCTION => static function (\CurlHandle $_, string $line) use (&$headers): int {
                if (str_starts_with($line, 'HTTP/')) {
                    $headers = [];
                } elseif (str_contains($line, ':')) {
                    [$name, $value] = explode(':', $line, 2);
                    $headers[strtolower(trim($name))] = trim($value);
                }

                return strlen($line);
            },
        ]);
        if ($request->body !== null) {
            curl_setopt($handle, CURLOPT_POSTFIELDS, $request->body);
        }
        $body = curl_exec($handle);
        if (!is_string($body)) {
            throw $this->failure($handle);
        }

        return new Response((int) curl_getinfo($handle, CURLINFO_RESPONSE_CODE), $headers, $body);
    }

    private function failure(\CurlHandle $handle): APIConnectionError
    {
        $number = curl_errno($handle);
        $told = curl_strerror($number) ?? 'curl failed';
        // A connection that failed is not used again.
        $this->handle = null;

        return $number === CURLE_OPERATION_TIMEDOUT ? new APITimeoutError($told) : new APIConnectionError($told);
    }

    private function handle(): \CurlHandle
    {
        // What was opened before a fork belongs to the parent.
        if ($this->handle === null || $this->process !== getmypid()) {
            $this->handle = curl_init() ?: throw new APIConnectionError('curl cannot be used');
            $this->process = (int) getmypid();
        }

        return $this->handle;
    }

    /**
     * @param array<string, string> $headers
     * @return list<string>
     */
    private static function lines(array $headers): array
    {
        // Without an Expect header curl waits for 100 Continue before it sends a longer body.
        $lines = ['Expect:'];
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }

        return $lines;
    }
}
