<?php

declare(strict_types=1);

namespace MassiveSMS;

/**
 * An answer as it came. A transport gives the status, headers (names in small letters) and body.
 */
final class Response
{
    /**
     * @param array<string, string> $headers
     * @param string|null $idempotencyKey the key the request was sent with; null for reads
     * @param int $attempts how often the request was sent
     */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
        public readonly ?string $idempotencyKey = null,
        public readonly int $attempts = 1,
    ) {
    }

    /**
     * Return what support asks for.
     */
    public function requestId(): ?string
    {
        return $this->headers['x-request-id'] ?? null;
    }

    /**
     * Tell whether an earlier request with this key was already done, and this is its answer.
     */
    public function replayed(): bool
    {
        return ($this->headers['idempotent-replayed'] ?? '') === 'true';
    }

    /**
     * Tell whether the request was done.
     */
    public function ok(): bool
    {
        return $this->status >= 200 && $this->status < 300;
    }

    /**
     * Return how many seconds to wait; anything but whole seconds is as if nothing was said.
     */
    public function retryAfter(): ?int
    {
        $given = trim($this->headers['retry-after'] ?? '');

        return preg_match('/\A[0-9]{1,9}\z/', $given) === 1 ? (int) $given : null;
    }

    /**
     * Return the answer with what is known of its request.
     */
    public function of(?string $idempotencyKey, int $attempts): self
    {
        return new self($this->status, $this->headers, $this->body, $idempotencyKey, $attempts);
    }

    /**
     * Describe the answer without its body, which may hold phones and texts.
     *
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['status' => $this->status, 'request_id' => $this->requestId(), 'attempts' => $this->attempts];
    }
}
