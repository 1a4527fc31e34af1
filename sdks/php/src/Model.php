<?php

declare(strict_types=1);

namespace MassiveSMS;

/**
 * What the service answers: fields by their names on the wire, also those that this version does not know.
 *
 * @implements \ArrayAccess<string, mixed>
 */
abstract class Model implements \ArrayAccess, \JsonSerializable
{
    /** What fields are: 'time', a model, or a list of one (a list with it inside). */
    protected const KINDS = [];

    private const SECRETS = ['secret', 'key'];

    /**
     * @param array<string, mixed> $values
     */
    final protected function __construct(private readonly array $values, private readonly ?Response $response)
    {
    }

    /**
     * Return a model of parsed JSON.
     *
     * @param array<string, mixed> $values
     */
    public static function of(array $values, ?Response $response = null): static
    {
        return new static($values, $response);
    }

    /**
     * Return the answer this came with, where it is not inside of another.
     */
    public function lastResponse(): ?Response
    {
        return $this->response;
    }

    /**
     * Return all fields as they came.
     *
     * @return array<string, mixed>
     */
    public function toArray(): array
    {
        return $this->values;
    }

    public function __get(string $name): mixed
    {
        return self::convert($this->values[$name] ?? null, static::KINDS[$name] ?? null);
    }

    public function __isset(string $name): bool
    {
        return isset($this->values[$name]);
    }

    public function __set(string $name, mixed $value): void
    {
        throw new \LogicException('What the service answered does not change');
    }

    public function offsetExists(mixed $offset): bool
    {
        return isset($this->values[$offset]);
    }

    public function offsetGet(mixed $offset): mixed
    {
        return $this->__get($offset);
    }

    public function offsetSet(mixed $offset, mixed $value): void
    {
        throw new \LogicException('What the service answered does not change');
    }

    public function offsetUnset(mixed $offset): void
    {
        throw new \LogicException('What the service answered does not change');
    }

    /**
     * @return array<string, mixed>
     */
    public function jsonSerialize(): array
    {
        return $this->values;
    }

    /**
     * Describe all but secrets.
     *
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        $shown = $this->values;
        foreach (self::SECRETS as $name) {
            if (isset($shown[$name])) {
                $shown[$name] = '[hidden]';
            }
        }

        return $shown;
    }

    private static function convert(mixed $value, mixed $kind): mixed
    {
        if ($value === null || $kind === null) {
            return $value;
        }
        if (is_array($kind)) {
            return is_array($value) ? array_map(static fn ($each) => self::convert($each, $kind[0]), $value) : $value;
        }
        if ($kind === 'time') {
            return self::time($value);
        }

        return is_array($value) ? $kind::of($value) : $value;
    }

    private static function time(mixed $value): mixed
    {
        $found = is_string($value) ? \DateTimeImmutable::createFromFormat(\DateTimeInterface::RFC3339, $value) : false;

        return $found === false ? $value : $found;
    }
}
