<?php

declare(strict_types=1);

namespace MassiveSMS;

use MassiveSMS\Exception\ConfigurationError;

/**
 * Values as they are sent.
 *
 * @internal
 */
final class Values
{
    /**
     * Write JSON: times with their offsets, enums by their values.
     */
    public static function json(mixed $value): string
    {
        try {
            $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;

            return json_encode(self::plain($value), $flags);
        } catch (\JsonException $failure) {
            throw new ConfigurationError('The parameters cannot be written as JSON: ' . $failure->getMessage());
        }
    }

    /**
     * Write a query, with its question mark: a list with commas, of a map one for each of its keys; null is left out.
     *
     * @param array<string, mixed> $query
     */
    public static function query(array $query): string
    {
        $parts = [];
        foreach ($query as $name => $value) {
            $value = $value instanceof \Traversable ? iterator_to_array($value) : $value;
            if (is_array($value) && !array_is_list($value)) {
                foreach ($value as $key => $each) {
                    $parts[] = rawurlencode("{$name}[{$key}]") . '=' . rawurlencode(self::text($each));
                }
            } elseif ($value !== null) {
                $text = is_array($value) ? implode(',', array_map(self::text(...), $value)) : self::text($value);
                $parts[] = rawurlencode($name) . '=' . rawurlencode($text);
            }
        }

        return $parts === [] ? '' : '?' . implode('&', $parts);
    }

    private static function text(mixed $value): string
    {
        return is_bool($value) ? ($value ? 'true' : 'false') : (string) self::plain($value);
    }

    /**
     * Put escaped ids into a path.
     *
     * @param array<string, string> $ids
     */
    public static function path(string $format, array $ids): string
    {
        foreach ($ids as $name => $id) {
            if (in_array($id, ['', '.', '..'], true)) {
                throw new ConfigurationError("$name is not an id: it is " . ($id === '' ? 'empty' : $id));
            }
            $format = str_replace('{' . $name . '}', rawurlencode($id), $format);
        }

        return $format;
    }

    /**
     * Return parameters with what is an object in JSON as an object, so that an empty array is not sent as a list.
     *
     * @param array<int|string, mixed>|null $value
     * @param array<string, mixed> $objects the fields that are objects, with the objects inside of them; '*' of each item
     */
    public static function shaped(?array $value, array $objects): array|object|null
    {
        if ($value === null) {
            return null;
        }
        if (isset($objects['*'])) {
            return array_map(static fn ($each) => is_array($each) ? self::shaped($each, $objects['*']) : $each, $value);
        }
        foreach ($objects as $name => $inner) {
            if (is_array($value[$name] ?? null)) {
                $value[$name] = self::shaped($value[$name], $inner);
            }
        }

        return (object) $value;
    }

    private static function plain(mixed $value): mixed
    {
        return match (true) {
            $value instanceof \DateTimeInterface => self::time($value),
            $value instanceof \BackedEnum => $value->value,
            $value instanceof \stdClass => (object) array_map(self::plain(...), (array) $value),
            is_array($value) => array_map(self::plain(...), $value),
            $value instanceof \JsonSerializable => $value,
            $value instanceof \Traversable => array_map(self::plain(...), iterator_to_array($value)),
            // Any other object would be written as its public properties.
            is_object($value) => throw new ConfigurationError('A ' . get_debug_type($value) . ' cannot be sent'),
            default => $value,
        };
    }

    private static function time(\DateTimeInterface $time): string
    {
        $format = $time->format('u') === '000000' ? 'Y-m-d\TH:i:s' : 'Y-m-d\TH:i:s.v';

        return $time->format($format) . ($time->getOffset() === 0 ? 'Z' : $time->format('P'));
    }
}
