# frozen_string_literal: true

require "time"

module MassiveSMS
  # What the service answers: fields by their names on the wire. What this version does not know is kept: see [] and to_h.
  class Model
    # Fields whose values are secrets.
    SECRETS = %w[secret key].freeze
    private_constant :SECRETS

    class << self
      # Declare a field: of text, numbers and the like where there is no kind, a :time, a model, or an array of models.
      def field(name, kind = nil)
        key = name.to_s
        fields[key] = kind
        define_method(name) { read(key, kind) }
      end

      # Return the kinds of fields by their names.
      def fields = @fields ||= {}

      # Return a model of parsed JSON; what is no object is returned as it is.
      def from(value, response = nil) = value.is_a?(Hash) ? new(value, response) : value
    end

    # @return [Response, nil] the answer this came with, where it is not inside of another
    attr_reader :last_response

    def initialize(values, response = nil)
      @values = values
      @last_response = response
      @read = {}
    end

    # Return a field by its name, as text or symbol, also one that this version does not know.
    def [](name)
      key = name.to_s
      self.class.fields.key?(key) ? read(key, self.class.fields[key]) : @values[key]
    end

    # Return all fields as they came.
    def to_h = @values

    # Return JSON as it came.
    def to_json(*arguments) = @values.to_json(*arguments)

    def ==(other) = other.class == self.class && other.to_h == to_h
    alias eql? ==
    def hash = @values.hash

    # Describe all but secrets.
    def inspect
      shown = @values.map { |name, value| "#{name}: #{SECRETS.include?(name) && value ? "[hidden]" : value.inspect}" }
      "#<#{self.class} #{shown.join(", ")}>"
    end
    alias to_s inspect

    private

    def read(key, kind)
      return @values[key] if kind.nil?

      @read.fetch(key) { @read[key] = convert(@values[key], kind) }
    end

    def convert(value, kind)
      case kind
      when :time then time(value)
      when Array then value.is_a?(Array) ? value.map { |each| convert(each, kind.first) } : value
      else MassiveSMS.const_get(kind).from(value)
      end
    end

    def time(value)
      value.is_a?(String) ? Time.iso8601(value) : value
    rescue ArgumentError
      value
    end
  end
end
