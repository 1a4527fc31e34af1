<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

use MassiveSMS\Response;

/**
 * An answer that refuses a request. Types that this version does not know are of this class itself.
 */
class APIStatusError extends MassiveSMSError
{
    private const BY_TYPE = [
        'api_error' => ServerError::class,
        'authentication_error' => AuthenticationError::class,
        'permission_error' => PermissionDeniedError::class,
        'compliance_error' => ComplianceError::class,
        'conflict_error' => ConflictError::class,
        'idempotency_error' => IdempotencyError::class,
        'invalid_request_error' => InvalidRequestError::class,
        'payment_required_error' => PaymentRequiredError::class,
        'rate_limit_error' => RateLimitError::class,
    ];
    private const BY_STATUS = [
        400 => InvalidRequestError::class,
        401 => AuthenticationError::class,
        402 => PaymentRequiredError::class,
        403 => PermissionDeniedError::class,
        404 => InvalidRequestError::class,
        409 => ConflictError::class,
        422 => ComplianceError::class,
        429 => RateLimitError::class,
    ];
    private const TEXTS = ['type', 'code', 'message', 'param', 'request_id', 'doc_url', 'existing_id', 'resets_at'];

    public readonly int $status;
    /** The kind of error; more may come. */
    public readonly ?string $type;
    /** What went wrong; more may come. */
    public readonly ?string $errorCode;
    /** What the service says, for people; it may change. */
    public readonly string $apiMessage;
    /** The parameter at fault, as a dotted path. */
    public readonly ?string $param;
    /** What support asks for. */
    public readonly ?string $requestId;
    /** The page that explains the code. */
    public readonly ?string $docUrl;
    /** How many credits are needed. */
    public readonly ?int $required;
    /** How many credits are left. */
    public readonly ?int $available;
    /** When the count of a cap starts again. */
    public readonly ?string $resetsAt;
    /** What is there already, with codes such as contact_exists. */
    public readonly ?string $existingId;
    /** How many seconds the service asked to wait. */
    public readonly ?int $retryAfter;
    /** The key of the request: the same request with it is never done twice. */
    public readonly ?string $idempotencyKey;
    /** How often the request was sent. */
    public readonly int $attempts;

    /**
     * @param array<string, mixed> $details all that the error says, by its names on the wire
     */
    final public function __construct(public readonly Response $response, public readonly array $details)
    {
        $this->status = $response->status;
        $this->type = $details['type'] ?? null;
        $this->errorCode = $details['code'] ?? null;
        $this->apiMessage = $details['message'] ?? "The server answered {$response->status}.";
        $this->param = $details['param'] ?? null;
        $this->requestId = $details['request_id'] ?? $response->requestId();
        $this->docUrl = $details['doc_url'] ?? null;
        $this->required = self::count($details['required'] ?? null);
        $this->available = self::count($details['available'] ?? null);
        $this->resetsAt = $details['resets_at'] ?? null;
        $this->existingId = $details['existing_id'] ?? null;
        $this->retryAfter = $response->retryAfter();
        $this->idempotencyKey = $response->idempotencyKey;
        $this->attempts = $response->attempts;
        parent::__construct($this->text());
    }

    /**
     * Return the error of an answer: of the class of its type, or else of its status. `$hide` is the API key, should the
     * service repeat it.
     */
    public static function of(Response $response, #[\SensitiveParameter] ?string $hide = null): self
    {
        $details = self::read($response->body);
        if ($hide !== null && isset($details['message'])) {
            $details['message'] = str_replace($hide, '[API key]', $details['message']);
        }
        $other = $response->status >= 500 ? ServerError::class : self::class;
        $class = isset($details['type'])
            ? self::BY_TYPE[$details['type']] ?? self::class
            : self::BY_STATUS[$response->status] ?? $other;

        return new $class($response, $details);
    }

    /**
     * @return array<string, mixed>
     */
    private static function read(string $body): array
    {
        $parsed = json_decode($body, true);
        $error = is_array($parsed) ? $parsed['error'] ?? null : null;
        if (!is_array($error)) {
            return [];
        }
        foreach (self::TEXTS as $name) {
            if (isset($error[$name]) && !is_string($error[$name])) {
                return [];
            }
        }

        return $error;
    }

    private static function count(mixed $value): ?int
    {
        return is_int($value) ? $value : null;
    }

    private function text(): string
    {
        $text = trim("{$this->status} {$this->errorCode}") . ": {$this->apiMessage}";
        $parts = ['param' => $this->param, 'request' => $this->requestId, 'idempotency key' => $this->idempotencyKey];
        foreach (array_filter($parts, 'is_string') as $name => $value) {
            $text .= " [$name $value]";
        }

        return $text;
    }
}
