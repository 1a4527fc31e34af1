# frozen_string_literal: true

require "json"
require "openssl"
require "massivesms/errors"

module MassiveSMS
  # Verification of webhooks.
  module Webhooks
    HEADER = "MSVS-Signature"
    STANDARD_HEADERS = %w[webhook-id webhook-timestamp webhook-signature].freeze
    TOLERANCE = 300

    module_function

    # Verify a webhook and return its event.
    #
    # @param payload [String] the body of the request, byte for byte: request.raw_post in Rails, request.body.read in Rack
    # @param header [String, nil] its MSVS-Signature header
    # @param secret [String] the secret of the webhook
    # @param tolerance [Numeric] how many seconds it may be old or early
    # @return [Event]
    # @raise [SignatureVerificationError] where it is not to be trusted: answer 400
    # @raise [InvalidPayloadError] where it is signed, and no event
    def construct_event(payload, header, secret, tolerance: TOLERANCE, now: Time.now)
      verify(payload, header, secret, tolerance: tolerance, now: now)
      event(payload)
    end

    # Verify a webhook with standard_webhooks by the headers of Standard Webhooks, and return its event.
    #
    # @param headers [Hash] the headers of the request, by their names in any case: request.headers.to_h in Rails
    # @return [Event]
    # @raise [SignatureVerificationError] where it is not to be trusted: answer 400
    # @raise [InvalidPayloadError] where it is signed, and no event
    def construct_standard_event(payload, headers, secret, tolerance: TOLERANCE, now: Time.now)
      verify_standard(payload, headers, secret, tolerance: tolerance, now: now)
      event(payload)
    end

    def event(payload)
      text = payload.dup.force_encoding(Encoding::UTF_8)
      value = text.valid_encoding? ? JSON.parse(text) : nil
      return Event.from(value) if value.is_a?(Hash) && value["type"].is_a?(String)

      raise InvalidPayloadError, "The body of the webhook is not an event"
    rescue JSON::ParserError, EncodingError
      raise InvalidPayloadError, "The body of the webhook is not JSON"
    end

    # Raise a SignatureVerificationError unless a signature of the header is of this payload and secret.
    def verify(payload, header, secret, tolerance: TOLERANCE, now: Time.now)
      raw!(payload)
      fail!(:secret_missing, "No webhook secret: it is shown when the webhook is made") if secret.to_s.empty?
      fail!(:header_missing, "The request has no #{HEADER} header") if header.to_s.empty?
      timestamp, candidates = read(header)
      check_time!(timestamp, tolerance, now)
      check_any!(signature(payload, secret, timestamp), candidates)
    end

    # Raise a SignatureVerificationError unless the headers of Standard Webhooks have such a signature.
    def verify_standard(payload, headers, secret, tolerance: TOLERANCE, now: Time.now)
      raw!(payload)
      fail!(:secret_missing, "No webhook secret: it is shown when the webhook is made") if secret.to_s.empty?
      id, time, candidates = read_standard(headers)
      check_time!(time.to_i, tolerance, now)
      key = secret.delete_prefix("whsec_").unpack1("m0")
      expected = [OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{time}.".b + payload.b)].pack("m0")
      check_any!(expected, candidates)
    rescue ArgumentError
      check_any!("", [])
    end

    def read_standard(headers)
      given = headers.to_h { |name, value| [name.to_s.downcase.tr("_", "-").delete_prefix("http-"), value.to_s] }
      id, time, signatures = STANDARD_HEADERS.map { |name| given[name].to_s }
      fail!(:header_missing, "The request has no headers of Standard Webhooks") if [id, time, signatures].any?(&:empty?)
      candidates = signatures.split.filter_map { |part| part.delete_prefix("v1,") if part.start_with?("v1,") }
      return [id, time, candidates] if time.match?(/\A[0-9]{1,12}\z/) && candidates.any?

      fail!(:header_malformed, "The headers of Standard Webhooks cannot be read")
    end

    def check_time!(timestamp, tolerance, now)
      return if (now.to_i - timestamp).abs <= tolerance

      fail!(:timestamp_outside_tolerance, "The webhook was signed too long ago, or in the future: it may be a replay")
    end

    def check_any!(expected, candidates)
      return if candidates.map { |each| same?(expected, each) }.any?

      fail!(:no_match, "No signature fits: check that the secret is of this webhook, and that the payload is the body " \
                       "as it came, before any parser (request.raw_post in Rails, request.body.read in Rack)")
    end

    # Return the header that signs a payload, for tests of receivers.
    def sign(payload, secret, timestamp: Time.now)
      "t=#{timestamp.to_i},v1=#{signature(payload, secret, timestamp.to_i)}"
    end

    def raw!(payload)
      return if payload.is_a?(String)

      raise ConfigurationError, "The payload is #{payload.class}, and must be the body as it came, a String: read it " \
                                "before it is parsed (request.raw_post in Rails, request.body.read in Rack)"
    end

    def read(header)
      parts = header.split(",").map { |part| part.strip.partition("=").values_at(0, 2) }
      times = parts.filter_map { |name, value| value if name == "t" }
      candidates = parts.filter_map { |name, value| value if name == "v1" }
      return [times.first.to_i, candidates] if times.size == 1 && times.first.match?(/\A[0-9]{1,15}\z/) && candidates.any?

      fail!(:header_malformed, "The #{HEADER} header cannot be read: it is t=…,v1=…")
    end

    def signature(payload, secret, timestamp)
      OpenSSL::HMAC.hexdigest("SHA256", secret.b, "#{timestamp}.".b + payload.b)
    end

    def same?(expected, candidate)
      candidate.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(expected, candidate.b)
    end

    def fail!(reason, message) = raise(SignatureVerificationError.new(reason, message))

    private_class_method :event, :raw!, :read, :read_standard, :check_time!, :check_any!, :signature, :same?, :fail!
  end
end
