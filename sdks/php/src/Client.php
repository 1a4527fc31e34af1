<?php

declare(strict_types=1);

namespace MassiveSMS;

use MassiveSMS\Exception\APIConnectionError;
use MassiveSMS\Exception\APIStatusError;
use MassiveSMS\Exception\APITimeoutError;
use MassiveSMS\Exception\ConfigurationError;
use MassiveSMS\Exception\InvalidResponseError;

/**
 * The service as one API key sees it.
 *
 * @phpstan-type RequestOptions array{
 *     idempotency_key?: string, timeout?: float, deadline?: float, max_retries?: int, headers?: array<string, string>
 * }
 */
final class Client extends Resources
{
    public const DEFAULT_BASE_URL = 'https://api.massivesms.com';

    private const FIRST_DELAY = 0.5;
    private const LONGEST_DELAY = 8.0;
    private const LONGEST_WAIT = 60;
    private const LONGEST_JITTER = 0.5;
    private const LONGEST_CALL = 120.0;
    private const LONGEST_TIME = 86400;
    /** What the caller's headers do not replace. */
    private const OWN_HEADERS = ['authorization', 'content-type', 'idempotency-key', 'msvs-retry-count'];
    private const SETTINGS = [
        'api_key' => null, 'base_url' => null, 'max_retries' => 2, 'timeout' => 30.0, 'deadline' => null,
        'connect_timeout' => 5.0, 'transport' => null, 'logger' => null, 'app_info' => null, 'clock' => null,
        'sleeper' => null,
    ];
    private const OPTIONS = ['idempotency_key', 'timeout', 'deadline', 'max_retries', 'headers'];
    private const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

    /** Where the service answers. */
    public readonly string $baseUrl;
    /** Whether the key sends real messages; a sandbox key does not. */
    public readonly bool $livemode;
    /** A closure, so that no way of printing the client shows the key. */
    private readonly \Closure $key;
    private readonly int $maxRetries;
    private readonly float $timeout;
    private readonly ?float $deadline;
    private readonly string $userAgent;
    private readonly Transport $transport;
    private readonly mixed $logger;
    private readonly \Closure $clock;
    private readonly \Closure $sleeper;

    /**
     * `api_key` is read from MASSIVESMS_API_KEY where it is not given, `base_url` from MASSIVESMS_BASE_URL; times are
     * seconds: `timeout` of one attempt, `deadline` of all attempts and waits together (120, or as long as a longer
     * `timeout`). `logger` has `info(string)`, or is callable; it is told one line per attempt, without keys, phones and
     * texts. `clock` and `sleeper` are for tests.
     *
     * @param array{
     *     api_key?: string|null, base_url?: string|null, max_retries?: int, timeout?: float, deadline?: float|null,
     *     connect_timeout?: float, transport?: Transport|null, logger?: object|callable|null, app_info?: string|null,
     *     clock?: (callable(): float)|null, sleeper?: (callable(float): void)|null
     * } $settings
     */
    public function __construct(#[\SensitiveParameter] array $settings = [])
    {
        $unknown = array_diff_key($settings, self::SETTINGS);
        if ($unknown !== []) {
            throw new ConfigurationError('The client has no setting ' . implode(', ', array_keys($unknown)));
        }
        $given = $settings + self::SETTINGS;
        $key = self::checkKey($given['api_key'] ?? self::environment('MASSIVESMS_API_KEY'));
        $this->key = static fn (): string => $key;
        $this->livemode = str_starts_with($key, 'msvs_live_');
        $base = $given['base_url'] ?? (self::environment('MASSIVESMS_BASE_URL') ?: self::DEFAULT_BASE_URL);
        $this->baseUrl = self::checkBaseUrl($base);
        self::checkTimes($given['timeout'], $given['deadline'] ?? $given['timeout'], $given['max_retries']);
        self::checkTimes($given['connect_timeout'], $given['timeout'], $given['max_retries']);
        $this->maxRetries = $given['max_retries'];
        $this->timeout = (float) $given['timeout'];
        $this->deadline = $given['deadline'] === null ? null : (float) $given['deadline'];
        $this->transport = $given['transport'] ?? new CurlTransport((float) $given['connect_timeout']);
        $this->logger = $given['logger'];
        $this->userAgent = self::userAgent($given['app_info']);
        $this->clock = \Closure::fromCallable($given['clock'] ?? static fn (): float => hrtime(true) / 1e9);
        $this->sleeper = \Closure::fromCallable(
            $given['sleeper'] ?? static fn (float $seconds) => usleep((int) ($seconds * 1e6)),
        );
    }

    /**
     * Make a request, also one that this version does not know, and return its answer.
     *
     * @param string $method GET, POST or DELETE
     * @param string $path such as /v1/credits
     * @param array<string, mixed> $query
     * @param array<string, mixed>|object|null $body
     * @param RequestOptions $options
     */
    public function request(
        string $method,
        string $path,
        array $query = [],
        array|object|null $body = null,
        array $options = [],
    ): Response {
        $unknown = array_diff(array_keys($options), self::OPTIONS);
        if ($unknown !== []) {
            throw new ConfigurationError('A request has no option ' . implode(', ', $unknown));
        }
        $timeout = $options['timeout'] ?? $this->timeout;
        self::checkTimes($timeout, $options['deadline'] ?? $timeout, $options['max_retries'] ?? $this->maxRetries);
        $key = $method === 'GET' ? null : self::checkIdempotencyKey($options['idempotency_key'] ?? null);
        $headers = $this->headers($options['headers'] ?? [], $key, $body !== null);
        $text = $body === null ? null : Values::json($body);

        return $this->attempts($method, $path, $this->baseUrl . $path . Values::query($query), $headers, $text, $key, $options);
    }

    /**
     * Describe the client without its key.
     *
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['baseUrl' => $this->baseUrl, 'livemode' => $this->livemode];
    }

    /**
     * Send a request until it is answered, or may not or cannot be tried again.
     *
     * @param array<string, string> $headers
     * @param RequestOptions $options
     */
    private function attempts(
        string $method,
        string $path,
        string $url,
        array $headers,
        ?string $body,
        ?string $key,
        array $options,
    ): Response {
        $longest = $options['timeout'] ?? $this->timeout;
        $ends = ($this->clock)() + ($options['deadline'] ?? $this->deadline ?? max(self::LONGEST_CALL, $longest));
        $retries = $options['max_retries'] ?? $this->maxRetries;
        for ($attempt = 1; ; ++$attempt) {
            $more = $attempt > 1 ? ['MSVS-Retry-Count' => (string) ($attempt - 1)] : [];
            $timeout = min($longest, $ends - ($this->clock)());
            $request = new Request($method, $url, $headers + $more, $body);
            $outcome = $this->attempt($request, $path, $key, $attempt, (float) $timeout);
            if ($outcome instanceof Response) {
                return $outcome;
            }
            $wait = $attempt <= $retries ? self::waitAfter($outcome, $attempt) : null;
            if ($wait === null || ($this->clock)() + $wait >= $ends) {
                throw $outcome;
            }
            ($this->sleeper)($wait);
        }
    }

    /**
     * Return the answer of one attempt, or its failure.
     */
    private function attempt(
        Request $request,
        string $path,
        ?string $key,
        int $attempt,
        float $timeout,
    ): Response|APIConnectionError|APIStatusError {
        try {
            $response = $this->transport->send($request, $timeout)->of($key, $attempt);
        } catch (APIConnectionError $failure) {
            $this->log("{$request->method} $path: no answer at attempt $attempt");
            $text = "No answer after $attempt attempts: {$failure->getMessage()}";

            return $failure instanceof APITimeoutError
                ? new APITimeoutError($text, $key, $attempt)
                : new APIConnectionError($text, $key, $attempt);
        }
        $this->log("{$request->method} $path: {$response->status} at attempt $attempt, {$response->requestId()}");
        if (!$response->ok()) {
            return APIStatusError::of($response, ($this->key)());
        }
        if (json_decode($response->body) instanceof \stdClass) {
            return $response;
        }
        $text = "The answer (status {$response->status}, request {$response->requestId()}) cannot be read";

        return new InvalidResponseError($text, $key, $attempt);
    }

    /**
     * Return the seconds to wait after a failure, or null where the same request cannot succeed later.
     */
    private static function waitAfter(APIConnectionError|APIStatusError $failure, int $attempt): ?float
    {
        $backoff = min(self::FIRST_DELAY * 2 ** ($attempt - 1), self::LONGEST_DELAY) * (0.5 + self::random() / 2);
        if ($failure instanceof APIConnectionError) {
            return $backoff;
        }
        if (!self::retriable($failure)) {
            return null;
        }
        if ($failure->retryAfter === null) {
            return $backoff;
        }

        return $failure->retryAfter <= self::LONGEST_WAIT
            ? $failure->retryAfter + self::random() * self::LONGEST_JITTER
            : null;
    }

    private static function random(): float
    {
        return random_int(0, 1 << 30) / (1 << 30);
    }

    /**
     * Tell whether the same request may succeed later: other conflicts than a key in use are facts.
     */
    private static function retriable(APIStatusError $failure): bool
    {
        if ($failure->status === 409) {
            return $failure->errorCode === 'idempotency_key_in_use';
        }

        return in_array($failure->status, [408, 429, 500, 501, 502, 503, 504], true);
    }

    /**
     * @param array<string, string> $given
     * @return array<string, string>
     */
    private function headers(array $given, ?string $key, bool $body): array
    {
        $lower = array_map('strtolower', array_keys($given));
        $headers = ['Accept' => 'application/json', 'User-Agent' => $this->userAgent];
        $headers = array_filter($headers, static fn (string $name) => !in_array(strtolower($name), $lower, true), ARRAY_FILTER_USE_KEY);
        foreach ($given as $name => $value) {
            if (!in_array(strtolower($name), self::OWN_HEADERS, true)) {
                $headers[$name] = $value;
            }
        }
        $headers['Authorization'] = 'Bearer ' . ($this->key)();
        if ($body) {
            $headers['Content-Type'] = 'application/json';
        }
        if ($key !== null) {
            $headers['Idempotency-Key'] = $key;
        }

        return $headers;
    }

    private function log(string $line): void
    {
        if (is_object($this->logger) && method_exists($this->logger, 'info')) {
            $this->logger->info("massivesms: $line");
        } elseif (is_callable($this->logger)) {
            ($this->logger)("massivesms: $line");
        }
    }

    private static function userAgent(?string $appInfo): string
    {
        $own = 'massivesms-php/' . Version::VERSION . ' (php ' . PHP_VERSION . '; ' . PHP_OS_FAMILY . ')';

        return $appInfo === null ? $own : $own . ' ' . preg_replace('/[^!-~ ]|[()]/', '-', $appInfo);
    }

    /**
     * Return a variable of the environment; those of a .env file may be in $_ENV and $_SERVER alone.
     */
    private static function environment(string $name): string
    {
        $found = getenv($name);
        $found = is_string($found) ? $found : ($_ENV[$name] ?? $_SERVER[$name] ?? null);

        return is_string($found) ? $found : '';
    }

    private static function checkTimes(mixed $timeout, mixed $deadline, mixed $maxRetries): void
    {
        foreach ([$timeout, $deadline] as $seconds) {
            if (!(is_int($seconds) || is_float($seconds)) || !($seconds > 0 && $seconds <= self::LONGEST_TIME)) {
                throw new ConfigurationError('Times are seconds: more than 0, and ' . self::LONGEST_TIME . ' at most');
            }
        }
        if (!is_int($maxRetries) || $maxRetries < 0) {
            throw new ConfigurationError('max_retries is an int of 0 or more');
        }
    }

    private static function checkIdempotencyKey(?string $key): string
    {
        $key ??= self::uuid();
        if (preg_match('/\A[ -~]{1,255}\z/', $key) !== 1) {
            throw new ConfigurationError('An idempotency key has 1 to 255 printable ASCII characters');
        }

        return $key;
    }

    private static function uuid(): string
    {
        $bytes = random_bytes(16);
        $bytes[6] = chr(ord($bytes[6]) & 0x0F | 0x40);
        $bytes[8] = chr(ord($bytes[8]) & 0x3F | 0x80);

        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }

    private static function checkKey(#[\SensitiveParameter] string $key): string
    {
        if ($key === '') {
            throw new ConfigurationError('No API key: pass api_key or set MASSIVESMS_API_KEY');
        }
        if (preg_match('/\Amsvs_(?:live|test)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})\z/', $key, $parts) !== 1) {
            throw new ConfigurationError('The API key is malformed: it is msvs_live_ or msvs_test_ and 36 more');
        }
        if (self::checksum($parts[1]) !== $parts[2]) {
            throw new ConfigurationError('The API key is not whole: its checksum does not fit');
        }

        return $key;
    }

    private static function checksum(#[\SensitiveParameter] string $text): string
    {
        $number = crc32($text);
        $found = '';
        for ($place = 0; $place < 6; ++$place) {
            $found = self::BASE62[$number % 62] . $found;
            $number = intdiv($number, 62);
        }

        return $found;
    }

    private static function checkBaseUrl(string $url): string
    {
        $parts = parse_url($url);
        $plain = is_array($parts) && in_array($parts['scheme'] ?? '', ['http', 'https'], true)
            && ($parts['host'] ?? '') !== '' && array_intersect_key($parts, array_flip(['user', 'query', 'fragment'])) === [];
        if (!$plain) {
            throw new ConfigurationError('The base URL is not an absolute URL such as ' . self::DEFAULT_BASE_URL);
        }
        $loopback = preg_match('/\A(?:localhost|\[::1\]|127(?:\.[0-9]{1,3}){3})\z/', $parts['host']) === 1;
        if ($parts['scheme'] !== 'https' && !$loopback) {
            throw new ConfigurationError('The base URL must start with https://; http:// is for loopback alone');
        }

        return rtrim($url, '/');
    }
}
