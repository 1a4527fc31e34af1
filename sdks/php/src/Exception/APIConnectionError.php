<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * No answer came. Whether the request was done is not known: send it again with its idempotency key.
 */
class APIConnectionError extends MassiveSMSError
{
    /**
     * @param string|null $idempotencyKey the key of the request; null for reads
     * @param int $attempts how often the request was sent
     */
    final public function __construct(
        string $message,
        public readonly ?string $idempotencyKey = null,
        public readonly int $attempts = 1,
    ) {
        parent::__construct($idempotencyKey === null ? $message : "$message [idempotency key $idempotencyKey]");
    }
}
